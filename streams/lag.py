"""How far behind a consumer is: in offsets, and in the age of the oldest unread record."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from streams.tracker import Record, TrackedPartition, Tracker

_ASK_EVERY_S = 5.0
_TIMEOUT_S = 4.0
_Place = tuple[str, int]


def see_log_ends(consumer: Consumer, records: Iterable[Record], tracker: Tracker) -> None:
    """Note where the log ends that records were fetched from; never blocks."""
    for topic, partition in {(record.topic, record.partition) for record in records}:
        tracked = tracker.get(topic, partition)
        if tracked is not None:
            tracked.log_end = max(tracked.log_end, _fetched_end(consumer, topic, partition))


def _fetched_end(consumer: Consumer, topic: str, partition: int) -> int:
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)[1]
    except KafkaException:
        return -1  # nothing was fetched of it


class LagGauges:
    """Sets the lag metrics of one consumer. Used from the polling thread, and never blocks it.

    The log's end comes with every fetch; for where nothing is fetched (paused, refused) the broker is asked now and
    then, for all partitions at once and on a connection of its own: on the consumer's, each question would wait
    behind a fetch, which held up the frames for 0.7 s every time.
    `connect` makes that client. After a failure another one is asked, since one may forget its brokers for good.
    """

    def __init__(self, consumer: Consumer, connect: Callable[[], AdminClient], group: str, clock: Clock) -> None:
        self._consumer = consumer
        self._connect = connect
        self._admin = connect()
        self._group = group
        self._clock = clock
        self._next_ask = 0.0
        self._asked: dict[_Place, Future[ListOffsetsResultInfo]] = {}
        self._ends: dict[_Place, int] = {}

    def update(self, tracker: Tracker) -> None:
        """Set both gauges for every partition held whose position is known."""
        now = self._clock.monotonic()
        held = tracker.held()
        self._harvest()
        if held and now >= self._next_ask and not self._asked:
            self._next_ask = now + _ASK_EVERY_S
            self._ask(held)
        for tracked in held:
            if tracked.position is not None:
                self._set(tracked, tracked.position, now)

    def _ask(self, held: list[TrackedPartition]) -> None:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library gives it no types
        places = {TopicPartition(tracked.topic, tracked.partition): latest for tracked in held}
        answers = self._admin.list_offsets(
            places, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_TIMEOUT_S
        )
        self._asked = {(place.topic, place.partition): answer for place, answer in answers.items()}

    def _harvest(self) -> None:
        if not all(answer.done() for answer in self._asked.values()):
            return
        asked, self._asked = self._asked, {}
        well = {place: answer.result().offset for place, answer in asked.items() if answer.exception() is None}
        self._ends |= well
        if len(well) < len(asked):
            self._admin = self._connect()

    def _set(self, tracked: TrackedPartition, position: int, now: float) -> None:
        fetched_end = _fetched_end(self._consumer, tracked.topic, tracked.partition)
        lag = max(fetched_end - position, self._ends.get((tracked.topic, tracked.partition), 0) - position, 0)
        labels = (self._group, tracked.topic, str(tracked.partition))
        metrics.CONSUMER_LAG.labels(*labels).set(lag)
        metrics.CONSUMER_LAG_SECONDS.labels(*labels).set(self._age_s(tracked, now, behind=lag > 0))

    def _age_s(self, tracked: TrackedPartition, now: float, *, behind: bool) -> float:
        """Return the age of the oldest unread record.

        Of one that is not fetched yet the append time is not known: it came after the last one read, and not long
        before we first saw that we are behind.
        """
        if not behind:
            tracked.behind_since = None
        elif tracked.behind_since is None:
            tracked.behind_since = now
        oldest_ms = tracked.oldest_unread_ms(behind=behind)
        if oldest_ms is None:
            return 0.0 if tracked.behind_since is None else now - tracked.behind_since
        age_s = max(self._clock.now().timestamp() - oldest_ms / 1000, 0.0)
        if tracked.records == 0 and tracked.behind_since is not None:
            return min(age_s, now - tracked.behind_since)
        return age_s
