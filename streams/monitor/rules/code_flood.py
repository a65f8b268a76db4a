"""Dead letters of one code from many sources: their cause is common, and most likely ours."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.alert import RULE_CODE_FLOOD
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import Finding, Verdict, by_thresholds
from streams.monitor.state import FailureCount, State


class CodeFlood:
    """So many dead letters of one code, from so many sources, within the window. Good again at half the number."""

    name = RULE_CODE_FLOOD

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """See the protocol; the subject is the code."""
        by_code: dict[str, list[FailureCount]] = {code: [] for code in firing}
        for failing in state.failing(now_ms):
            by_code.setdefault(failing.code, []).append(failing)
        for code, failings in sorted(by_code.items()):
            yield self._judge_code(code, failings)

    def _judge_code(self, code: str, failings: list[FailureCount]) -> Finding:
        count, many = sum(failing.count for failing in failings), self._settings.flood_dead_letters
        verdict = by_thresholds(count, many, many / 2)
        if verdict is Verdict.BAD and len(failings) < self._settings.flood_sources:
            verdict = Verdict.BETWEEN
        worst = max(failings, key=lambda failing: failing.count, default=None)
        facts = {
            "window_s": self._settings.window_s,
            "code": code,
            "dead_letters": count,
            "sources": len(failings),
            "threshold": many,
            "samples": [] if worst is None else list(worst.samples),
        }
        summary = f"{count} dead letters {code} of {len(failings)} sources within {self._settings.window_s:g} s"
        return Finding(code, verdict, summary, facts, "critical")
