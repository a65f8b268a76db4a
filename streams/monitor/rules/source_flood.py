"""Dead letters of one source: something is wrong with that camera, and the others are well."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.alert import RULE_SOURCE_FLOOD
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import Finding, Verdict, by_thresholds
from streams.monitor.state import FailureCount, State


class SourceFlood:
    """So many dead letters of one source within the window. Good again at half the number.

    A code that floods from many sources counts for none of them: that is one alert, not hundreds.
    """

    name = RULE_SOURCE_FLOOD

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol; the subject is the source."""
        failings = list(state.failing(now_ms))
        common = self._common(failings)
        by_source: dict[str, list[FailureCount]] = {source: [] for source in firing}
        for failing in failings:
            if failing.code not in common:
                by_source.setdefault(failing.source, []).append(failing)
        for source, own in sorted(by_source.items()):
            finding = self._judge_source(source, own)
            if finding.verdict is Verdict.BAD or source in firing:
                yield finding

    def _common(self, failings: list[FailureCount]) -> set[str]:
        frames: Counter[str] = Counter()
        sources: Counter[str] = Counter()
        for failing in failings:
            frames[failing.code] += failing.count
            sources[failing.code] += 1
        return {
            code
            for code, count in frames.items()
            if count >= self._settings.flood_dead_letters and sources[code] >= self._settings.flood_sources
        }

    def _judge_source(self, source: str, own: list[FailureCount]) -> Finding:
        count, many = sum(failing.count for failing in own), self._settings.flood_dead_letters
        facts = {
            "window_s": self._settings.window_s,
            "camera": source,
            "dead_letters": count,
            "threshold": many,
            "codes": {failing.code: failing.count for failing in own},
            "samples": [sample for failing in own for sample in failing.samples][-3:],
        }
        summary = f"{count} dead letters of one source within {self._settings.window_s:g} s"
        return Finding(source, by_thresholds(count, many, many / 2), summary, facts)
