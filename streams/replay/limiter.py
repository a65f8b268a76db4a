"""A replay yields: it waits while live workers lag, while those of replays have enough to do, and keeps to a rate."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sightline.runtime.clock import Clock
from sightline.runtime.log import get_logger

_log = get_logger(__name__)
_ASK_EVERY_S: Final = 0.5
_TIMEOUT_S: Final = 4.0
# Above the limit nothing more is sent, until the lag has fallen to this share of it.
_GO_ON_AT: Final = 0.5


class KnowsLag(Protocol):
    """How far a consumer group is behind, in records; None while that is not known."""

    def lag(self) -> int | None:
        """Return the newest figure. Never blocks."""
        ...


@dataclass(frozen=True, slots=True)
class Bound:
    """Nothing more is sent while `lag` is over `limit`, until it has fallen to half of that, or is not known."""

    lag: KnowsLag
    limit: int
    waits_for: str


class GroupLag:
    """Lag of a group on a topic by its committed offsets; asked for now and then, never waited for.

    `connect` makes a consumer of the group, which never joins it: an admin client that asks this of a broker which has
    just come back ends the process (https://github.com/confluentinc/librdkafka/issues/5040). After a failure another
    one asks: over an outage a client may lose a group's coordinator, and wait for ever
    (https://github.com/confluentinc/librdkafka/issues/5511).
    `unread` counts a partition of which the group has committed nothing in full; else nobody works for it yet, so
    nobody is disturbed.
    """

    def __init__(
        self,
        connect: Callable[[str], Consumer],
        group: str,
        topic: str,
        partitions: int,
        clock: Clock,
        *,
        unread: bool,
    ) -> None:
        self._connect = connect
        self._consumer: Consumer | None = None
        self._group = group
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._clock = clock
        self._unread = unread
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"lag-{group}")
        self._next_ask = 0.0
        self._lag: int | None = None
        self._asked: Future[int] | None = None

    def lag(self) -> int | None:
        """See `KnowsLag`."""
        now = self._clock.monotonic()
        if self._asked is None:
            if now >= self._next_ask:
                self._next_ask = now + _ASK_EVERY_S
                self._asked = self._executor.submit(self._ask)
        elif self._asked.done():
            asked, self._asked = self._asked, None
            self._lag = self._found(asked)
        return self._lag

    def _found(self, asked: Future[int]) -> int | None:
        try:
            return asked.result()
        except KafkaException as error:
            _log.warning("lag is not known", group=self._group, code=error.args[0].name())
            return None

    def _ask(self) -> int:
        consumer = self._consumer = self._consumer or self._connect(self._group)
        try:
            return sum(self._behind(consumer, place) for place in consumer.committed(self._places, timeout=_TIMEOUT_S))
        except KafkaException:
            self._consumer = None
            consumer.close()
            raise

    def _behind(self, consumer: Consumer, place: TopicPartition) -> int:
        if place.error is not None:
            raise KafkaException(place.error)
        low, end = consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S, cached=False)
        if place.offset >= 0:
            return max(end - max(place.offset, low), 0)
        return end - low if self._unread else 0


class Limiter:
    """Says whether the next frame may go. `rate` in frames a second; None: no limit."""

    def __init__(self, bounds: Sequence[Bound], rate: float | None, clock: Clock) -> None:
        self._bounds = bounds
        self._over: set[str] = set()
        self._unknown: set[str] = set()
        self._rate = rate
        self._clock = clock
        self._next = 0.0

    @property
    def waits_for(self) -> str | None:
        """Say what must catch up first, or be known, or None."""
        for bound in self._bounds:
            if bound.waits_for in self._unknown:
                return f"{bound.waits_for}: asks how far they are"
            if bound.waits_for in self._over:
                return bound.waits_for
        return None

    def may_go(self) -> bool:
        """Tell whether a frame may be sent now, and count it if so. Never blocks."""
        now = self._clock.monotonic()
        for bound in self._bounds:
            self._look(bound)
        if self._over or self._unknown or now < self._next:
            return False
        if self._rate is not None:
            # What was not used is not saved up for longer than a moment, or a burst would follow each wait.
            self._next = max(self._next, now - 1 / self._rate) + 1 / self._rate
        return True

    def _look(self, bound: Bound) -> None:
        """Note how a figure stands. One that is missing does not let go: nobody would see whom it disturbs."""
        lag = bound.lag.lag()
        if lag is None:
            self._unknown.add(bound.waits_for)
            return
        self._unknown.discard(bound.waits_for)
        over = bound.waits_for in self._over
        if lag > bound.limit * (_GO_ON_AT if over else 1):
            self._over.add(bound.waits_for)
        else:
            self._over.discard(bound.waits_for)
