"""How far behind a consumer is: in offsets, and in the age of the oldest unread record."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from streams.tracker import TrackedPartition, Tracker

_ASK_EVERY_S = 5.0
_TIMEOUT_S = 1.0


class LagGauges:
    """Sets the lag metrics of one consumer. Used from the polling thread.

    The log's end comes with every fetch; where nothing is fetched (paused, just assigned) the broker is asked.
    """

    def __init__(self, consumer: Consumer, group: str, clock: Clock) -> None:
        self._consumer = consumer
        self._group = group
        self._clock = clock
        self._next_ask = 0.0

    def ask_soon(self) -> None:
        """Ask the broker at the next update: partitions are new, and nothing has been fetched of them."""
        self._next_ask = 0.0

    def update(self, tracker: Tracker, *, paused: bool) -> None:
        """Set both gauges for every partition held; may block for a second when the broker is away."""
        now = self._clock.monotonic()
        may_ask = now >= self._next_ask
        if may_ask:
            self._next_ask = now + _ASK_EVERY_S
        for tracked in tracker.held():
            try:
                self._update(tracked, ask=may_ask and (paused or tracked.position is None))
            except KafkaException:
                return  # the broker is away: readiness says so already

    def _update(self, tracked: TrackedPartition, *, ask: bool) -> None:
        place = TopicPartition(tracked.topic, tracked.partition)
        low, high = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S, cached=not ask)
        position = tracked.position
        if position is None:
            if not ask:
                return
            committed: int = self._consumer.committed([place], timeout=_TIMEOUT_S)[0].offset
            position = committed if committed >= 0 else low
        if high < 0:
            return
        lag = max(high - position, 0)
        oldest_ms = tracked.oldest_unread_ms(behind=lag > 0)
        age_s = 0.0 if oldest_ms is None else max(self._clock.now().timestamp() - oldest_ms / 1000, 0.0)
        labels = (self._group, tracked.topic, str(tracked.partition))
        metrics.CONSUMER_LAG.labels(*labels).set(lag)
        metrics.CONSUMER_LAG_SECONDS.labels(*labels).set(age_s)
