"""The share of frames that are accepted leaves its band."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.alert import RULE_ACCEPTANCE
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import WHOLE, Finding, Verdict
from streams.monitor.state import State

# Standard errors: of windows that are within the band, one in forty looks this far outside it on one side.
_SURE: Final = 2.0


class Acceptance:
    """Accepted ÷ (accepted + rejected) within its window.

    Bad when the share is outside the band by more than chance explains (Wilson's interval), good again inside it. A
    band is narrow beside the scatter of a hundred photos, so the plain share would flap.
    """

    name = RULE_ACCEPTANCE

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol."""
        frames, accepted = state.decided.total(now_ms)
        if frames < (1 if WHOLE in firing else self._settings.acceptance_min_frames):
            return
        share = accepted / frames
        low, high = self._settings.acceptance_low, self._settings.acceptance_high
        least, most = wilson_interval(share, frames)
        if low <= share <= high:
            verdict = Verdict.GOOD
        else:
            verdict = Verdict.BAD if most < low or least > high else Verdict.BETWEEN
        facts = {
            "window_s": self._settings.acceptance_window_s,
            "frames": frames,
            "accepted": round(accepted),
            "share": round(share, 4),
            "band": [low, high],
        }
        summary = f"{share:.1%} of {frames} frames were accepted; the band is {low:.0%} to {high:.0%}"
        yield Finding(WHOLE, verdict, summary, facts)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the interval that the true share lies in, two standard errors to each side (Wilson 1927)."""
    weight = _SURE**2 / count
    middle = (share + weight / 2) / (1 + weight)
    half = _SURE / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return middle - half, middle + half
