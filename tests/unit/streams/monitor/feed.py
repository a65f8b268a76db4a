"""Records of a made-up pipeline, and a judge that is fed with them second by second."""

import itertools
from collections.abc import Callable, Iterable

from schemas.alert import Alert
from sightline.runtime.settings import MonitorSettings
from streams.monitor.episodes import Episodes
from streams.monitor.judge import Judge
from streams.monitor.moments import milliseconds
from streams.monitor.observation import Kind, Observation
from streams.monitor.state import span_ms

PIPELINE = "civic"
# A whole multiple of every window: 2027-01-15, 08:00 UTC.
START_MS = 1_800_000_000_000
OFF = {
    "error_share": 0, "flood_dead_letters": 0, "silent_after_s": 0, "quality_drop": 0, "clear_after_s": 10,
    "acceptance_window_s": 60, "quality_window_s": 60, "quality_baseline_s": 60, "window_s": 60, "catch_up_s": 600,
}  # fmt: skip

_numbers = itertools.count()
At = Callable[[int], Iterable[Observation]]


def settings(**changes: float) -> MonitorSettings:
    """Everything off, windows of a minute; and what is changed."""
    return MonitorSettings.model_validate({**OFF, **changes})


def answered(
    second: float, source: str = "/cameras/1", *, accepted: bool | None = None, score: float | None = None
) -> Observation:
    return Observation(_at(second), Kind.ANSWERED, source, f"r{next(_numbers)}", accepted=accepted, score=score)


def failed(second: float, source: str = "/cameras/1", code: str = "picture_corrupt") -> Observation:
    return Observation(_at(second), Kind.FAILED, source, f"d{next(_numbers)}", code=code)


def _at(second: float) -> int:
    return START_MS + round(second * 1000)


class Feed:
    """A judge that begins at second 0, its windows being empty before that."""

    def __init__(self, rules: MonitorSettings, said: Iterable[Alert] = (), judge_from_s: float = 0) -> None:
        self.episodes = Episodes(PIPELINE, rules)
        for alert in said:
            self.episodes.restore(alert, milliseconds(alert.raised_at))
        self.judge = Judge(rules, self.episodes, _at(judge_from_s))
        self.rules = rules
        self.alerts: list[Alert] = []

    def run(self, first: int, last: int, at: At = lambda _: ()) -> list[Alert]:
        """Feed each second from `first` to `last` (not included) with what `at` gives for it; return new alerts."""
        new = []
        for second in range(first, last):
            for seen in at(second):
                self.judge.observe(seen)
            new += self.judge.advance(_at(second + 1))
        self.alerts += new
        return new


def said(alerts: Iterable[Alert]) -> list[tuple[str, str, str]]:
    """Return rule, subject and state of each."""
    return [(alert.rule, alert.source.partition("|")[2], (alert.facts or {})["state"]) for alert in alerts]


def history_s(rules: MonitorSettings) -> float:
    return span_ms(rules) / 1000
