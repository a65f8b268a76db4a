"""Committing: explicit offsets, asynchronously while running, every answer checked."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import SetupError
from sightline.runtime import metrics
from sightline.runtime.kafka import map_kafka_error
from sightline.runtime.log import get_logger
from streams.tracker import Record, TrackedPartition, Tracker
from streams.watch import Watch

_log = get_logger(__name__)
# How long a hand-over waits for a transaction whose offsets are on their way: they lead further than ours.
_SENDING_S = 2.0
# How long a work thread waits for its marks; after that it says what holds it up, and asks again.
_ANSWER_S = 5.0


@dataclass(slots=True)
class _Request:
    """Marks that a work thread waits for."""

    partitions: frozenset[tuple[str, int]]
    wanted: Callable[[], bool]
    done: threading.Event = field(default_factory=threading.Event)
    error: KafkaError | None = None
    dismissed: bool = False

    def end(self, error: KafkaError | None = None, *, dismissed: bool = False) -> None:
        """Let the thread go on."""
        self.error, self.dismissed = error, dismissed
        self.done.set()


@dataclass(slots=True)
class _OnTheirWay:
    """Marks that the broker has not answered yet, since `since_s`, and who waits for them."""

    offsets: list[TopicPartition]
    requests: list[_Request]
    since_s: float

    def is_answered_by(self, offsets: Iterable[TopicPartition]) -> bool:
        """Tell whether it is just these that a commit was about."""
        return {_identity(place) for place in offsets} == {_identity(place) for place in self.offsets}


class Committer:
    """Commits the lowest unfinished offset of each partition held. For the polling thread, but `mark_now`.

    With a `watch`, its marks stand beside the offsets.
    """

    def __init__(self, group: str, tracker: Tracker, watch: Watch | None = None) -> None:
        self._group = group
        self._tracker = tracker
        self._watch = watch
        # Held from reading an offset until it cannot overtake a later one any more: for a commit that nothing else
        # could overtake until it is handed over, for marks, which a transaction could, until they are answered.
        self.sending = threading.Lock()
        self._requests: list[_Request] = []
        self._on_their_way: _OnTheirWay | None = None
        self._accepting = False
        self._begun: dict[tuple[str, int], int] = {}  # where partitions were marked before anything was read
        self.problem: SetupError | None = None  # a right that we lack, until a commit succeeds

    def commit(self, consumer: Consumer) -> None:
        """Hand new offsets to the broker without waiting; `on_commit` hears the answer."""
        if not self.sending.acquire(blocking=False):
            return  # a mark is on its way; the next turn does it
        try:
            offsets = self._take_offsets()
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)
        finally:
            self.sending.release()

    def commit_now(self, consumer: Consumer) -> None:
        """Commit new offsets as partitions are given up, and wait for the answer; a failure is left to redelivery."""
        if not self.sending.acquire(timeout=_SENDING_S):
            return
        try:
            offsets = self._take_offsets(leaving=True)
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)
        finally:
            self.sending.release()

    def begin(self, consumer: Consumer, places: Sequence[TopicPartition], now_s: float) -> None:
        """Hand partitions just assigned, as their committed offsets were found, to the watch, and mark them.

        A mark that fails is made when the first record is begun.
        """
        self._accepting = True
        if self._watch is None:
            return
        self._watch.assigned(places, self)
        offsets = [self._marked(place.topic, place.partition, place.offset) for place in places if place.offset >= 0]
        self._begun = {(place.topic, place.partition): place.offset for place in offsets}
        if self.sending.acquire(blocking=False):
            self._send(consumer, offsets, [], now_s)

    # -- marks that must be there before work begins ------------------------------------------------------

    def mark_now(self, partitions: Iterable[tuple[str, int]], wanted: Callable[[], bool]) -> bool:
        """Have the polling thread commit the watch's marks for those of `partitions` that are held; blocks.

        An earlier one, answered meanwhile, will do when nothing is `wanted` after it. Returns False, maybe without a
        mark, once the partitions are on their way to somebody else.

        From any other thread: the client lets one thread in at a time, and polling it hardly ever lets go of it.
        Raises OutageError.
        """
        request = _Request(frozenset(partitions), wanted)
        with self._tracker.changed:
            if not self._accepting:
                return False
            self._requests.append(request)
            self._tracker.changed.notify_all()
        request.done.wait()
        if request.error is not None:
            raise map_kafka_error(request.error)
        return not request.dismissed

    def asked(self) -> bool:
        """Tell whether a thread waits for marks that could be sent now."""
        return bool(self._requests) and not self.sending.locked()

    def answer(self, consumer: Consumer, now_s: float) -> None:
        """Commit the marks that are asked for; whoever waits too long for those on their way is told so.

        The answer comes while the consumer is polled. At `now_s` of the monotonic clock; returns at once, also when a
        transaction is in the way.
        """
        if self._on_their_way is not None:
            if now_s - self._on_their_way.since_s >= _ANSWER_S:
                self._let_go(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 -- the library's own name
        elif self._requests and self.sending.acquire(blocking=False):
            with self._tracker.changed:
                requests, self._requests = self._requests, []
            wanted = frozenset().union(*(request.partitions for request in requests))
            self._send(consumer, self._marks(wanted), requests, now_s)

    def cover(self, consumer: Consumer, records: Sequence[Record], now_s: float) -> None:
        """Mark what is about to be begun, where that is not done yet; who begins before it is marked waits for it."""
        uncovered = frozenset() if self._watch is None else self._watch.uncovered(records)
        if uncovered and self.sending.acquire(blocking=False):
            self._send(consumer, self._marks(uncovered), [], now_s)

    def answer_awaited(self) -> bool:
        """Tell whether a thread waits for the answer to marks that are on their way."""
        marks = self._on_their_way
        return marks is not None and bool(marks.requests or self._requests)

    def unanswered_s(self, now_s: float) -> float | None:
        """Return how long marks have been on their way, or None: none are."""
        marks = self._on_their_way  # read once: it is asked from any thread
        return None if marks is None else now_s - marks.since_s

    def dismiss(self) -> None:
        """Let those go who wait for marks: their partitions are on their way to somebody else."""
        with self._tracker.changed:
            self._accepting = False
        self._let_go(None)

    def settle(self, consumer: Consumer) -> None:
        """See marks on their way answered where nobody polls: what is sent behind them is answered after them."""
        if self._on_their_way is None:
            return
        offsets = self._on_their_way.offsets
        try:
            self.on_commit(None, consumer.commit(offsets=offsets, asynchronous=False))
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)
        self.forget()

    def forget(self) -> None:
        """Wait for no answer any more: the partitions are lost, and so is the right to commit for them."""
        if self._on_their_way is not None:
            self._on_their_way = None
            self.sending.release()

    def _marks(self, partitions: Iterable[tuple[str, int]]) -> list[TopicPartition]:
        held = [tracked for key in partitions if (tracked := self._tracker.get(*key)) is not None]
        return [place for tracked in held if (place := self._take_offset(tracked)) is not None]

    def _send(self, consumer: Consumer, offsets: list[TopicPartition], requests: list[_Request], now_s: float) -> None:
        """Send marks off, with `sending` held; `on_commit` lets it go."""
        self._on_their_way = _OnTheirWay(offsets, requests, now_s)
        if not offsets:
            self._heard(None, offsets)
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)

    def _heard(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        """Where it was the marks that were committed, let go of the lock, and those who wait for them."""
        marks = self._on_their_way
        if marks is None or not marks.is_answered_by(offsets):
            return
        self.forget()
        refused = error or next((place.error for place in offsets if place.error is not None), None)
        for request in marks.requests:
            request.end(refused)

    def _release_satisfied(self) -> None:
        """Let those go who asked while marks were on their way that do for them as well."""
        with self._tracker.changed:
            requests, self._requests = self._requests, []
            for request in requests:
                if request.wanted():
                    self._requests.append(request)
                else:
                    request.end()

    def _let_go(self, error: KafkaError | None) -> None:
        with self._tracker.changed:
            requests, self._requests = self._requests, []
        if self._on_their_way is not None:
            requests += self._on_their_way.requests
            self._on_their_way.requests = []
        for request in requests:
            request.end(error, dismissed=error is None)

    # -- checking -----------------------------------------------------------------------------------------

    def commit_again(self) -> None:
        """Have the next commit name every partition once more, also those with nothing new."""
        with self._tracker.changed:
            for tracked in self._tracker.held():
                tracked.mark_committed(None)

    def on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Check a commit; what failed is tried again with the next one. The consumer's `on_commit`."""
        failed = [
            (offset, error or offset.error) for offset in offsets if error is not None or offset.error is not None
        ]
        if not failed:
            self.problem = None
        if self._watch is not None and error is None:
            self._watch.acknowledged(offset for offset in offsets if offset.error is None)
        for offset, reason in failed:
            tracked = self._tracker.get(offset.topic, offset.partition)
            if tracked is not None:
                tracked.mark_committed(None)
            code = "" if reason is None else reason.name()
            if reason is not None and isinstance(outage := map_kafka_error(reason), SetupError):
                self.problem = outage
            metrics.COMMIT_ERRORS.labels(self._group, code).inc()
            _log.warning("commit failed, will be tried again", group=self._group, code=code)
        self._heard(error, offsets)
        self._release_satisfied()

    def _take_offsets(self, *, leaving: bool = False) -> list[TopicPartition]:
        watch = self._watch
        offsets = []
        with self._tracker.changed:
            for tracked in self._tracker.held():
                due = tracked.committable() is not None or (
                    watch is not None and (leaving or watch.wants_mark(tracked))
                )
                place = self._take_offset(tracked, leaving=leaving) if due else None
                if place is not None:
                    offsets.append(place)
        return offsets

    def _take_offset(self, tracked: TrackedPartition, *, leaving: bool = False) -> TopicPartition | None:
        with self._tracker.changed:
            offset, position = tracked.safe_offset(), tracked.position
            if offset is None and leaving:
                offset = self._begun.get((tracked.topic, tracked.partition))
            if offset is None:
                return None
            tracked.mark_committed(offset)
            return self._marked(tracked.topic, tracked.partition, offset, position, leaving=leaving)

    def _marked(
        self, topic: str, partition: int, offset: int, position: int | None = None, *, leaving: bool = False
    ) -> TopicPartition:
        if self._watch is None:
            return TopicPartition(topic, partition, offset)
        text = self._watch.text(topic, partition, offset, offset if position is None else position, leaving=leaving)
        return TopicPartition(topic, partition, offset, metadata=text)


def _identity(place: TopicPartition) -> tuple[str, int, int, str]:
    return place.topic, place.partition, place.offset, place.metadata or ""
