"""Running one pipeline's monitor for ever: rebuild the state, watch with Faust, begin again when that ends.

In this order, each time:

1. wait until every alert raised before is acknowledged: the topic is what the next step goes by;
2. read `alerts`: what is on, and what was said last about whom;
3. read results and dead letters of the windows' length and `catch_up_s` before, and judge them on the way; while the
   broker's clock is far ahead of ours, nothing is judged;
4. let the group begin where that ended, which fails while another monitor of this pipeline is in it;
5. start the Faust app, and judge whenever everything up to a later moment has been read (`streams.agents.rounds`).
"""

from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from schemas import topics
from schemas.alert import Alert
from schemas.errors import OutageError
from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sightline.runtime.log import get_logger
from sightline.runtime.settings import KafkaSettings, MonitorSettings
from streams.agents.rounds import ANSWER_S, Rounds
from streams.alerts import Alarm
from streams.monitor.episodes import Episodes
from streams.monitor.moments import milliseconds
from streams.monitor.rules import NAMES
from streams.monitor.watch import Watch, history_ms
from streams.publisher import Publisher
from streams.read import Edge, PartitionEnd, TopicRecord, read_all_to_end, read_to_end

_log = get_logger(__name__)
_ADVANCE_EVERY: Final = 1000
# Records that wait in each agent's queue. With 8, pausing and resuming partitions held results to 400 a second.
_BUFFERED_RESULTS: Final = 256
_BUFFERED_DEAD_LETTERS: Final = 16  # they may have 18 MB each
CLOCKS_APART_MS: Final = 30_000


class Monitor(Rounds):
    """The monitor of one pipeline, as `streams.process.Process` runs it."""

    def __init__(
        self,
        pipeline: str,
        kafka: KafkaSettings,
        settings: MonitorSettings,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        """Raise ConfigurationError when Kafka's properties ask for what Faust's client cannot do."""
        group = topics.group("monitor", pipeline)
        queues = {topics.results(pipeline): _BUFFERED_RESULTS, topics.dead_letters(pipeline): _BUFFERED_DEAD_LETTERS}
        alarm = Alarm(publisher, clock, group, pipeline)
        super().__init__(group, kafka, queues, alarm, clock, required=[topics.ALERTS], tick_s=settings.tick_s)
        self._pipeline = pipeline
        self._settings = settings
        self._publisher = publisher
        self._topics = list(queues)

    def count_start(self, after: str) -> None:
        """See the base class."""
        metrics.MONITOR_STARTS.labels(self._pipeline, after).inc()

    def show_behind(self, behind_s: float) -> None:
        """See the base class."""
        metrics.MONITOR_BEHIND_SECONDS.labels(self._pipeline).set(behind_s)

    def prepare(self) -> Watch:
        """Do steps 1 to 4."""
        places = self.log_ends.places()
        self.say("reading what happened lately")
        now = self.clock.now()
        if not self._publisher.flush(ANSWER_S):
            raise OutageError("kafka", "alerts are not acknowledged yet")
        ends = self.log_ends.ask(places)
        self.log_ends.begin_at(self.group, ends)  # a first look whether we are alone, before much is read
        start = now - timedelta(milliseconds=history_ms(self._settings))
        watch = Watch(
            self._pipeline, self._settings, self._episodes(), places, milliseconds(start), self._raise_alerts
        )  # fmt: skip
        watch.progress.ask(milliseconds(now), ends)
        records = 0
        for read in read_all_to_end(self.kafka, self._topics, start, timeout_s=ANSWER_S):
            records += isinstance(read, TopicRecord)
            self._take_history(watch, read)
            if records % _ADVANCE_EVERY == 0:
                watch.advance()
        watch.advance()
        self.log_ends.begin_at(self.group, watch.progress.positions)
        _log.info("rebuilt", pipeline=self._pipeline, records=records, partitions=len(places))
        return watch

    def _take_history(self, watch: Watch, read: TopicRecord | PartitionEnd) -> None:
        self.turn()
        if isinstance(read, PartitionEnd):
            watch.progress.read_on((read.topic, read.partition), read.offset)
            return
        now_ms = self.now_ms()
        if read.dated and read.timestamp_ms > now_ms + CLOCKS_APART_MS:
            ahead_s = (read.timestamp_ms - now_ms) / 1000
            raise OutageError("clock", f"records of {read.topic} are {ahead_s:.0f} s ahead of this machine's clock")
        watch.take(read, now_ms)

    def _episodes(self) -> Episodes:
        episodes = Episodes(self._pipeline, self._settings)
        for record in read_to_end(self.kafka, topics.ALERTS, Edge.BEGINNING, timeout_s=ANSWER_S):
            self.turn()
            rule = (record.key or b"").decode("utf-8", "replace").partition("|")[0]
            if rule in NAMES:  # also those that are off now: what they began is given up one day
                try:
                    episodes.restore(Alert.model_validate_json(record.value or b""), record.timestamp_ms)
                except ValidationError:
                    _log.warning("alert cannot be read", partition=record.partition, offset=record.offset)
        return episodes

    def _raise_alerts(self, alerts: list[Alert]) -> None:
        for alert in alerts:
            state = (alert.facts or {}).get("state")
            _log.info("alert", rule=alert.rule, state=state, pipeline=self._pipeline, severity=alert.severity)
        self.alarm.raise_alerts(alerts)
