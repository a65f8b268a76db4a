"""How far behind a consumer is: in offsets, and in the age of the oldest unread record."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from streams.tracker import TrackedPartition, Tracker

_ASK_EVERY_S = 5.0
_TIMEOUT_S = 1.0


class LagGauges:
    """Sets the lag metrics of one consumer. Used from the polling thread.

    The log's end comes with every fetch; for where nothing is fetched the broker is asked now and then.
    """

    def __init__(self, consumer: Consumer, group: str, clock: Clock) -> None:
        self._consumer = consumer
        self._group = group
        self._clock = clock
        self._next_ask = 0.0

    def ask_soon(self) -> None:
        """Ask the broker at the next update: partitions are new, and nothing has been fetched of them."""
        self._next_ask = 0.0

    def update(self, tracker: Tracker) -> None:
        """Set both gauges for every partition held; may block for a second when the broker is away."""
        now = self._clock.monotonic()
        may_ask = now >= self._next_ask
        if may_ask:
            self._next_ask = now + _ASK_EVERY_S
        for tracked in tracker.held():
            try:
                self._update(tracked, now, ask=may_ask)
            except KafkaException:
                return  # the broker is away: readiness says so already

    def _update(self, tracked: TrackedPartition, now: float, *, ask: bool) -> None:
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
