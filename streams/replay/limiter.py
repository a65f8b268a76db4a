"""A replay yields: it waits while live workers lag, while those of replays have enough to do, and keeps to a rate."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Protocol

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

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

    `connect` makes a client. After a failure another one is asked: over an outage a client may lose a group's
    coordinator, and wait for ever (https://github.com/confluentinc/librdkafka/issues/5511).
    `unread` counts a partition of which the group has committed nothing in full; else nobody works for it yet, so
    nobody is disturbed.
    """

    def __init__(
        self, connect: Callable[[], AdminClient], group: str, topic: str, partitions: int, clock: Clock, *, unread: bool
    ) -> None:
        self._connect = connect
        self._admin = connect()
        self._group = group
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._clock = clock
        self._unread = unread
        self._next_ask = 0.0
        self._lag: int | None = None
        self._committed: Future[Any] | None = None
        self._marks: list[dict[TopicPartition, Future[Any]]] = []

    def lag(self) -> int | None:
        """See `KnowsLag`."""
        now = self._clock.monotonic()
        if self._committed is None:
            if now >= self._next_ask:
                self._next_ask = now + _ASK_EVERY_S
                self._ask()
        elif self._committed.done() and all(mark.done() for marks in self._marks for mark in marks.values()):
            self._harvest()
        return self._lag

    def _ask(self) -> None:
        asked = [ConsumerGroupTopicPartitions(self._group, list(self._places))]
        self._committed = self._admin.list_consumer_group_offsets(asked, request_timeout=_TIMEOUT_S)[self._group]
        specs = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library has no types
        self._marks = [
            self._admin.list_offsets(dict.fromkeys(self._places, spec), request_timeout=_TIMEOUT_S) for spec in specs
        ]

    def _harvest(self) -> None:
        committed, self._committed = self._committed, None
        try:
            found = [] if committed is None else committed.result().topic_partitions
            positions = {place.partition: place.offset for place in found}
            lows, ends = (
                {place.partition: mark.result().offset for place, mark in marks.items()} for marks in self._marks
            )
        except KafkaException as error:
            _log.warning("lag is not known", group=self._group, code=error.args[0].name())
            self._lag = None
            self._admin = self._connect()
            return
        self._lag = sum(max(end - self._begin(positions.get(number, -1), lows[number], end), 0)
                        for number, end in ends.items())  # fmt: skip

    def _begin(self, position: int, low: int, end: int) -> int:
        if position >= 0:
            return max(position, low)
        return low if self._unread else end


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
