"""More or fewer frames than usual: the number answered in a second leaves its band."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.alert import RULE_RATE
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import WHOLE, Finding, Verdict
from streams.monitor.state import State

_MARGIN: Final = 0.1


class Rate:
    """Results and dead letters per second within the window. Good again a tenth inside the band; 0: no such bound."""

    name = RULE_RATE

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol."""
        del firing
        window_s, low, high = self._settings.window_s, self._settings.rate_low, self._settings.rate_high
        frames = state.answers.count(now_ms) + state.failures.count(now_ms)
        rate = frames / window_s
        verdict = Verdict.BETWEEN
        if rate < low or (high and rate > high):
            verdict = Verdict.BAD
        elif rate >= low * (1 + _MARGIN) and (not high or rate <= high * (1 - _MARGIN)):
            verdict = Verdict.GOOD
        facts = {"window_s": window_s, "frames": frames, "rate": round(rate, 3), "band": [low, high or None]}
        yield Finding(WHOLE, verdict, f"{rate:.3g} frames a second over {window_s:g} s", facts)
