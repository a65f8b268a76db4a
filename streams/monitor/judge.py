"""Judging a pipeline: records in, alerts out. Pure: time comes in as an argument, nothing is read or written.

Records are put in order of their append time, and each moment (a whole multiple of `tick_s`) is judged by exactly
those before it. So the same records lead to the same alerts, whether they are judged as they come or read again after
a restart.
"""

import heapq
import itertools

from schemas.alert import Alert
from sightline.runtime.settings import MonitorSettings
from streams.monitor.episodes import Episodes
from streams.monitor.observation import Observation
from streams.monitor.rules import rules_of
from streams.monitor.state import State

# Records ahead of the moment that is judged: as many as partitions may run ahead of each other. 25 MB.
_MOST_AHEAD = 100_000


class Judge:
    """One pipeline's state, rules and alerts. Nothing before `judge_from_ms` is judged: records fill the windows."""

    def __init__(self, settings: MonitorSettings, episodes: Episodes, judge_from_ms: int) -> None:
        self._tick_ms = round(settings.tick_s * 1000)
        self._catch_up_ms = round(settings.catch_up_s * 1000)
        self._episodes = episodes
        self._rules = rules_of(settings)
        self._ahead: list[tuple[int, int, Observation]] = []
        self._order = itertools.count()
        self._judged_ms = judge_from_ms // self._tick_ms * self._tick_ms
        self.state = State(settings)

    @property
    def judged_ms(self) -> int:
        """The moment that was judged last."""
        return self._judged_ms

    def firing(self) -> dict[str, int]:
        """Return how many alerts are on, by rule."""
        return {rule.name: self._episodes.count(rule.name) for rule in self._rules}

    def observe(self, seen: Observation) -> None:
        """Take in a record; it counts from the first moment after it."""
        heapq.heappush(self._ahead, (seen.at_ms, next(self._order), seen))
        if len(self._ahead) > _MOST_AHEAD:
            self.state.apply(heapq.heappop(self._ahead)[2])

    def advance(self, known_to_ms: int) -> list[Alert]:
        """Judge every moment up to `known_to_ms`, before which all records have come; return what changed, in order.

        After a pause longer than `catch_up_s` the moments before that are passed over.
        """
        last = known_to_ms // self._tick_ms * self._tick_ms
        first = max(self._judged_ms + self._tick_ms, (known_to_ms - self._catch_up_ms) // self._tick_ms * self._tick_ms)
        alerts: list[Alert] = []
        for now_ms in range(first, last + 1, self._tick_ms):
            alerts += self._judge(now_ms)
            self._judged_ms = now_ms
        return alerts

    def _judge(self, now_ms: int) -> list[Alert]:
        while self._ahead and self._ahead[0][0] < now_ms:
            self.state.apply(heapq.heappop(self._ahead)[2])
        self.state.prune(now_ms)
        self._episodes.play_back(now_ms)
        self._episodes.forget(now_ms - self._catch_up_ms)
        alerts = self._episodes.give_up(now_ms)
        for rule in self._rules:
            # A copy: what a rule says must not depend on what it said a line before.
            for finding in list(rule.judge(self.state, now_ms, self._episodes.firing(rule.name))):
                alert = self._episodes.settle(rule.name, finding, now_ms)
                if alert is not None:
                    alerts.append(alert)
        return alerts
