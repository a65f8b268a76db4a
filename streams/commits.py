"""Committing: explicit offsets, asynchronously while running, every answer checked."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
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
# How long an answer is waited for. The client itself would wait without a limit: where the coordinator goes away with
# a commit on its way, perhaps for ever, as what follows is announced to a thread that polls, and none does meanwhile.
_ANSWER_S = 5.0


@dataclass(slots=True)
class _Request:
    """Marks that a work thread waits for."""

    partitions: frozenset[tuple[str, int]]
    done: threading.Event = field(default_factory=threading.Event)
    error: KafkaError | None = None


class Committer:
    """Commits the lowest unfinished offset of each partition held. For the polling thread, but `mark_now`.

    With a `watch`, its marks stand beside the offsets.
    """

    def __init__(self, group: str, tracker: Tracker, watch: Watch | None = None) -> None:
        self._group = group
        self._tracker = tracker
        self._watch = watch
        # Held from reading an offset to handing it over: a later one must never be overtaken by an earlier one.
        self.sending = threading.Lock()
        self._requests: list[_Request] = []
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

    def begin(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Hand partitions just assigned, as their committed offsets were found, to the watch, and mark them.

        Waits for the broker's answer; a mark that fails is made when the first record is begun.
        """
        self._accepting = True
        if self._watch is None:
            return
        self._watch.assigned(places, self)
        offsets = [self._marked(place.topic, place.partition, place.offset) for place in places if place.offset >= 0]
        self._begun = {(place.topic, place.partition): place.offset for place in offsets}
        try:
            if offsets:
                self._watch.acknowledged(consumer.commit(offsets=offsets, asynchronous=False))
        except KafkaException as error:
            _log.info("partitions not marked yet", group=self._group, code=error.args[0].name())

    # -- marks that must be there before work begins ------------------------------------------------------

    def mark_now(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Have the polling thread commit the watch's marks for those of `partitions` that are held; blocks.

        From any other thread: the client lets one thread in at a time, and polling it hardly ever lets go of it.
        Raises OutageError.
        """
        request = _Request(frozenset(partitions))
        with self._tracker.changed:
            if not self._accepting:
                return
            self._requests.append(request)
            self._tracker.changed.notify_all()
        request.done.wait()
        if request.error is not None:
            raise map_kafka_error(request.error)

    def asked(self) -> bool:
        """Tell whether a thread waits for its marks."""
        return bool(self._requests)

    def answer(self, consumer: Consumer) -> None:
        """Commit the marks that are waited for, and wait for the broker; at once when a transaction is in the way."""
        if not self.sending.acquire(blocking=False):
            return
        with self._tracker.changed:
            requests, self._requests = self._requests, []
        error = self._mark(consumer, frozenset().union(*(request.partitions for request in requests)))
        for request in requests:
            request.error = error
            request.done.set()

    def dismiss(self) -> None:
        """Let those go who wait for marks: their partitions are on their way to somebody else."""
        with self._tracker.changed:
            self._accepting = False
            requests, self._requests = self._requests, []
        for request in requests:
            request.done.set()

    def cover(self, consumer: Consumer, records: Sequence[Record]) -> None:
        """Mark what is about to be begun, where that is not done yet; what fails is asked for once more."""
        uncovered = frozenset() if self._watch is None else self._watch.uncovered(records)
        if uncovered and self.sending.acquire(blocking=False):
            self._mark(consumer, uncovered)

    def _mark(self, consumer: Consumer, partitions: frozenset[tuple[str, int]]) -> KafkaError | None:
        """Commit marks, with `sending` held; it is let go when the broker has answered, however late that is."""
        held = [tracked for key in partitions if (tracked := self._tracker.get(*key)) is not None]
        offsets = [place for tracked in held if (place := self._take_offset(tracked)) is not None]
        if not offsets:
            self.sending.release()
            return None
        try:
            answered = _commit_and_wait(consumer, offsets, self.sending.release)
        except KafkaException as error:
            refused: KafkaError = error.args[0]
            self.on_commit(refused, offsets)
            return refused
        self.on_commit(None, answered)
        return next((place.error for place in answered if place.error is not None), None)

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


def _commit_and_wait(
    consumer: Consumer, offsets: list[TopicPartition], answered: Callable[[], None]
) -> list[TopicPartition]:
    """Commit, and return what the broker said of each partition. For the polling thread, outside of callbacks.

    Another thread does it, which the client lets in while this one does not poll. Raises KafkaException, also when no
    answer comes for a while; `answered` is called when it is there after all.
    """
    answer: Future[list[TopicPartition]] = Future()

    def commit() -> None:
        try:
            answer.set_result(consumer.commit(offsets=offsets, asynchronous=False))
        except KafkaException as error:
            answer.set_exception(error)
        finally:
            answered()

    threading.Thread(target=commit, name="commit", daemon=True).start()
    try:
        return answer.result(_ANSWER_S)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None  # noqa: SLF001 -- the library's own name
