"""One pipeline as it is watched: records are read and judged, what comes of it is raised, gauges show the rest."""

import math
from collections.abc import Callable, Iterable

from schemas import topics
from schemas.alert import Alert
from schemas.errors import InputError
from sightline.runtime import metrics
from sightline.runtime.settings import MonitorSettings
from streams.agents.progress import Place, Progress
from streams.monitor.episodes import Episodes
from streams.monitor.judge import Judge
from streams.monitor.observation import Observation, read_dead_letter, read_result
from streams.monitor.state import span_ms
from streams.read import TopicRecord

Raise = Callable[[list[Alert]], None]


def history_ms(settings: MonitorSettings) -> int:
    """Return how far back to read at a start: what fills the windows, and what may have happened meanwhile."""
    return span_ms(settings) + round(settings.catch_up_s * 1000)


class Watch:
    """State and progress since one start. `start_ms` is where reading begins; used from one thread at a time."""

    def __init__(
        self,
        pipeline: str,
        settings: MonitorSettings,
        episodes: Episodes,
        places: Iterable[Place],
        start_ms: int,
        raise_alerts: Raise,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._raise = raise_alerts
        self._results = topics.results(pipeline)
        self._judge = Judge(settings, episodes, start_ms + span_ms(settings))
        self.progress = Progress(dict.fromkeys(places, 0))

    @property
    def done_ms(self) -> int:
        """The moment that was judged last."""
        return self._judge.judged_ms

    def take(self, record: TopicRecord, now_ms: int) -> None:
        """Take in a record, unless it was seen before. `now_ms` bounds its time where a topic has others' times."""
        at_ms = min(record.timestamp_ms, now_ms)
        if not self.progress.take((record.topic, record.partition), record.offset, at_ms):
            return
        is_result = record.topic == self._results
        try:
            seen = self._read(record, at_ms, is_result=is_result)
        except InputError:
            kind = "unreadable"
        else:
            kind = "left_out" if seen is None else "result" if is_result else "dead_letter"
            if seen is not None:
                self._judge.observe(seen)
        metrics.MONITOR_RECORDS.labels(self._pipeline, kind).inc()

    def advance(self) -> None:
        """Judge as far as everything is known, and raise what comes of it."""
        known_ms = self.progress.known_to_ms()
        if known_ms is None:
            return
        before = self._judge.judged_ms
        alerts = self._judge.advance(known_ms)
        if alerts:
            self._raise(alerts)
        if self._judge.judged_ms != before:
            self._show()

    @staticmethod
    def _read(record: TopicRecord, at_ms: int, *, is_result: bool) -> Observation | None:
        if is_result:
            return read_result(record.value, at_ms)
        return read_dead_letter(record.key, record.headers, at_ms)

    def _show(self) -> None:
        state, now_ms, window_s = self._judge.state, self._judge.judged_ms, self._settings.window_s
        metrics.MONITOR_SOURCES.labels(self._pipeline).set(len(state.sources))
        metrics.MONITOR_SOURCES_FORGOTTEN.labels(self._pipeline).set(state.forgotten)
        for rule, count in self._judge.firing().items():
            metrics.MONITOR_FIRING.labels(self._pipeline, rule).set(count)
        metrics.MONITOR_RATE.labels(self._pipeline, "answered").set(state.answers.count(now_ms) / window_s)
        metrics.MONITOR_RATE.labels(self._pipeline, "failed").set(state.failures.count(now_ms) / window_s)
        decided, accepted = state.decided.total(now_ms)
        metrics.MONITOR_ACCEPTANCE.labels(self._pipeline).set(accepted / decided if decided else math.nan)
        (scored, mean), _ = state.mean_scores(state.scores, now_ms)
        metrics.MONITOR_SCORE.labels(self._pipeline).set(mean if scored else math.nan)
