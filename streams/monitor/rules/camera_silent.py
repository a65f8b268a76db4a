"""A camera that sent steadily sends no more, while the pipeline goes on."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.alert import RULE_CAMERA_SILENT
from schemas.encoding import format_time
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import Finding, Verdict
from streams.monitor.moments import moment
from streams.monitor.state import LONGEST_SILENCE, Activity, Source, State

_USUAL_GAPS: Final = 5


def longest_gap_ms(activity: Activity, settings: MonitorSettings) -> int | None:
    """Return the silence that is still usual for what was steady; None for what never was, such as a phone."""
    gap_ms = activity.usual_gap_ms(settings.silent_min_frames)
    if gap_ms is None:
        return None
    shortest_ms = settings.silent_after_s * 1000
    return round(min(max(shortest_ms, _USUAL_GAPS * gap_ms), LONGEST_SILENCE * shortest_ms))


class CameraSilent:
    """Nothing of one source for `silent_after_s`, or five of its usual gaps where that is longer.

    The others' time counts: when nothing at all comes, because the workers stand still or the line is cut, no camera
    is blamed. A first frame makes it good.
    """

    name = RULE_CAMERA_SILENT

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol; the subject is the source. One that is silent and forgotten stays silent."""
        latest_ms = min(state.activity.last_ms, now_ms)
        shortest_ms = self._settings.silent_after_s * 1000
        for name, source in state.sources.items():
            last_ms = source.activity.last_ms
            if latest_ms - last_ms < shortest_ms:  # those heard of longest ago come first
                break
            silent_ms = latest_ms - max(last_ms, state.resumed_ms)
            usual_ms = longest_gap_ms(source.activity, self._settings)
            if name not in firing and usual_ms is not None and silent_ms >= usual_ms:
                yield self._silent(name, source, silent_ms, usual_ms)
        for name in firing:
            known = state.sources.get(name)
            if known is not None and latest_ms - known.activity.last_ms < shortest_ms:
                facts = {"camera": name, "last_seen": format_time(moment(known.activity.last_ms))}
                yield Finding(name, Verdict.GOOD, "The camera sends again", facts)
            elif known is not None:
                yield Finding(name, Verdict.BAD, "The camera is silent", {"camera": name})

    @staticmethod
    def _silent(name: str, source: Source, silent_ms: int, usual_ms: int) -> Finding:
        facts = {
            "camera": name,
            "last_seen": format_time(moment(source.activity.last_ms)),
            "silent_s": round(silent_ms / 1000),
            "threshold_s": round(usual_ms / 1000),
        }
        return Finding(name, Verdict.BAD, f"Nothing of this camera for {silent_ms / 1000:.0f} s", facts)
