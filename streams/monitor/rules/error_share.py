"""Too large a part of all frames ends as dead letters."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.alert import RULE_ERROR_SHARE
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import WHOLE, Finding, by_thresholds
from streams.monitor.state import State

_CRITICAL_SHARE: Final = 0.5
_SHOWN_CODES: Final = 5


class ErrorShare:
    """Dead letters ÷ (results + dead letters) within the window. Good again at half the threshold."""

    name = RULE_ERROR_SHARE

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol."""
        failed = state.failures.count(now_ms)
        frames = failed + state.answers.count(now_ms)
        if frames < (1 if WHOLE in firing else self._settings.error_min_frames):
            return
        share, threshold = failed / frames, self._settings.error_share
        codes: Counter[str] = Counter()
        for failing in state.failing(now_ms):
            codes[failing.code] += failing.count
        facts = {
            "window_s": self._settings.window_s,
            "frames": frames,
            "dead_letters": failed,
            "share": round(share, 4),
            "threshold": threshold,
            "codes": dict(codes.most_common(_SHOWN_CODES)),
        }
        yield Finding(
            WHOLE,
            by_thresholds(share, threshold, threshold / 2),
            f"{share:.1%} of {frames} frames failed within {self._settings.window_s:g} s",
            facts,
            "critical" if share >= _CRITICAL_SHARE else "warning",
        )
