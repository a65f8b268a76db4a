"""The rules, one file each."""

from typing import Final

from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import Rule
from streams.monitor.rules.acceptance import Acceptance
from streams.monitor.rules.camera_silent import CameraSilent
from streams.monitor.rules.code_flood import CodeFlood
from streams.monitor.rules.error_share import ErrorShare
from streams.monitor.rules.pipeline_silent import PipelineSilent
from streams.monitor.rules.quality_falling import QualityFalling
from streams.monitor.rules.rate import Rate
from streams.monitor.rules.source_flood import SourceFlood

NAMES: Final = frozenset(
    rule.name
    for rule in (
        Acceptance, CameraSilent, CodeFlood, ErrorShare, PipelineSilent, QualityFalling, Rate, SourceFlood,
    )
)  # fmt: skip


def rules_of(settings: MonitorSettings) -> list[Rule]:
    """Return the rules that are on."""
    rules: list[tuple[bool, Rule]] = [
        (settings.error_share > 0, ErrorShare(settings)),
        (settings.flood_dead_letters > 0, CodeFlood(settings)),
        (settings.flood_dead_letters > 0, SourceFlood(settings)),
        (settings.silent_after_s > 0, PipelineSilent(settings)),
        (settings.silent_after_s > 0, CameraSilent(settings)),
        (settings.quality_drop > 0, QualityFalling(settings)),
        (settings.acceptance_low > 0 or settings.acceptance_high < 1, Acceptance(settings)),
        (settings.rate_low > 0 or settings.rate_high > 0, Rate(settings)),
    ]
    return [rule for on, rule in rules if on]
