"""Pictures become worse: of one camera (a dirty lens, a lamp that broke), or of all."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.alert import RULE_QUALITY_FALLING
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import WHOLE, Finding, Verdict, by_thresholds
from streams.monitor.ring import Ring
from streams.monitor.state import State


class QualityFalling:
    """The mean score of the quality window against that of the time before it.

    Good again at half the drop, measured from what was usual when the alert began: bad pictures that last do not
    become the usual. While all pictures are worse, no single camera is blamed.
    """

    name = RULE_QUALITY_FALLING

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol; the subject is the source, or the pipeline as a whole."""
        whole = self._judge_one(state, WHOLE, state.scores, now_ms, firing.get(WHOLE))
        if whole is not None:
            yield whole
        # A camera's slots are long, and there are thousands of cameras: once a slot is often enough.
        if now_ms % state.scores.slot_ms >= self._settings.tick_s * 1000:
            return
        all_bad = WHOLE in firing or (whole is not None and whole.verdict is Verdict.BAD)
        for name, source in state.sources.items():
            if all_bad and name not in firing:
                continue
            finding = self._judge_one(state, name, source.scores, now_ms, firing.get(name))
            if finding is not None and (finding.verdict is Verdict.BAD or name in firing):
                yield finding

    def _judge_one(
        self, state: State, subject: str, scores: Ring | None, now_ms: int, fired: Mapping[str, Any] | None
    ) -> Finding | None:
        (count, mean), (earlier, usual) = state.mean_scores(scores, now_ms)
        if fired is not None:
            usual = _number(fired.get("usual_score"), usual)
        elif earlier < self._settings.quality_min_frames:
            return None
        if count < (1 if fired is not None else self._settings.quality_min_frames):
            return None
        drop, most = usual - mean, self._settings.quality_drop
        facts: dict[str, Any] = {
            "window_s": self._settings.quality_window_s,
            "frames": count,
            "mean_score": round(mean, 1),
            "usual_score": round(usual, 1),
            "threshold": most,
        }
        if subject != WHOLE:
            facts["camera"] = subject
        summary = f"Mean score {mean:.1f} over {count} frames, where {usual:.1f} was usual"
        return Finding(subject, by_thresholds(drop, most, most / 2), summary, facts)


def _number(value: Any, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default
