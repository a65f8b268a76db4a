"""Nothing at all comes of a pipeline that was busy: its workers, its cameras, or the line between them stand still."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.alert import RULE_PIPELINE_SILENT
from schemas.encoding import format_time
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import WHOLE, Finding, Verdict
from streams.monitor.moments import moment
from streams.monitor.rules.camera_silent import longest_gap_ms
from streams.monitor.state import State


class PipelineSilent:
    """Neither result nor dead letter for `silent_after_s`, or five of the usual gaps where that is longer."""

    name = RULE_PIPELINE_SILENT

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol."""
        if not state.activity.last_ms:
            return
        silent_ms = now_ms - state.activity.last_ms
        facts = {"last_seen": format_time(moment(state.activity.last_ms)), "silent_s": round(silent_ms / 1000)}
        usual_ms = longest_gap_ms(state.activity, self._settings)
        if silent_ms < self._settings.silent_after_s * 1000:
            yield Finding(WHOLE, Verdict.GOOD, "Results come again", facts, "critical")
        elif WHOLE in firing or (usual_ms is not None and silent_ms >= usual_ms):
            summary = f"Neither results nor dead letters for {silent_ms / 1000:.0f} s"
            yield Finding(WHOLE, Verdict.BAD, summary, facts, "critical")
