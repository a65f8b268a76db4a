"""Offsets that are not there: a new group starts at the earliest, one that retention overtook says so first.

Consumers are made with `auto.offset.reset=error`, so a partition that was overtaken arrives here as an event and
stands still until it is assigned anew at an offset that exists (librdkafka refuses to seek in that state).
"""

import queue
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from sightline.runtime import metrics
from sightline.runtime.log import get_logger
from streams.tracker import TrackedPartition, Tracker

_log = get_logger(__name__)
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class LostRange:
    """Offsets from `from_offset` up to, not including, `to_offset` that nobody of `group` has read.

    An empty range says that the group's offset lies beyond the log's end: the topic was made anew.
    """

    group: str
    topic: str
    partition: int
    from_offset: int
    to_offset: int


# What is lost, where reading goes on, and what to call once that is safe.
Report = Callable[[LostRange, TopicPartition, Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class _Reported:
    """A report that is safe: the partition, under the assignment that it had, goes on at `earliest`."""

    tracked: TrackedPartition
    from_offset: int
    earliest: TopicPartition

    @property
    def is_read_on(self) -> bool:
        """Whether reading goes on there already. Behind the old offset of a topic that was made anew it does not."""
        position, earliest = self.tracked.position, self.earliest.offset
        return position is not None and earliest < position and not earliest < self.from_offset <= position


class OffsetRecovery:
    """The partitions of one consumer that have no offset to read from. Used from the polling thread."""

    def __init__(self, consumer: Consumer, group: str) -> None:
        self._consumer = consumer
        self._group = group
        self._noted: set[tuple[str, int]] = set()
        self._reporting: set[tuple[str, int]] = set()
        self._reported: queue.SimpleQueue[_Reported] = queue.SimpleQueue()

    def note(self, topic: str, partition: int) -> None:
        """Remember that a partition stands still for want of an offset."""
        self._noted.add((topic, partition))

    def pending(self) -> bool:
        """Tell whether partitions stand still for want of an offset."""
        return bool(self._noted)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Leave revoked partitions to whoever gets them."""
        for partition in partitions:
            self._noted.discard((partition.topic, partition.partition))
            self._reporting.discard((partition.topic, partition.partition))

    def start(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Say where newly assigned partitions begin: at the committed offset, or at the earliest; may block.

        What the broker does not answer is noted, to be looked up again: librdkafka does that by itself, too, but not
        under all circumstances.
        """
        try:
            committed = self._consumer.committed(partitions, timeout=_TIMEOUT_S)
        except KafkaException as error:
            _log.warning("offsets cannot be looked up", group=self._group, code=error.args[0].name())
            for place in partitions:
                self.note(place.topic, place.partition)
            return partitions
        for place in committed:
            if place.error is not None:
                self.note(place.topic, place.partition)
            elif place.offset < 0:
                place.offset = OFFSET_BEGINNING
        return committed

    def recover(self, tracker: Tracker, report: Report) -> None:
        """Set partitions going again; one with a lost range only after its report is safe. May block for seconds.

        What fails for want of a broker is tried at the next call.
        """
        if not self._noted:
            return
        held = [
            (key, tracked)
            for key in sorted(self._noted - self._reporting)
            if (tracked := tracker.get(*key)) is not None
        ]
        self._noted &= {*self._reporting, *(key for key, _ in held)}
        try:
            places = [place for _, tracked in held if (place := self._examine(tracked, report)) is not None]
            self._go_on(tracker, [*places, *self._take_reported(tracker)])
        except KafkaException as error:
            _log.warning("offsets cannot be looked up", group=self._group, code=error.args[0].name())
            self._reporting.clear()  # a report that did not lead on is made again; its alert has the same id

    def _take_reported(self, tracker: Tracker) -> list[TopicPartition]:
        """Return where partitions go on whose reports are safe; what has another assignment by now has begun anew."""
        places = []
        while not self._reported.empty():
            reported = self._reported.get()
            key = reported.earliest.topic, reported.earliest.partition
            if tracker.get(*key) is not reported.tracked:
                continue
            if reported.is_read_on:
                self._noted.discard(key)
                self._reporting.discard(key)
            else:
                places.append(reported.earliest)
        return places

    def _examine(self, tracked: TrackedPartition, report: Report) -> TopicPartition | None:
        topic, partition, position = tracked.topic, tracked.partition, tracked.position
        place = TopicPartition(topic, partition)
        if position is None:
            committed = self._consumer.committed([place], timeout=_TIMEOUT_S)[0]
            if committed.error is not None:
                raise KafkaException(committed.error)
            position = committed.offset
        low, high = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S, cached=False)
        if position < 0:
            return TopicPartition(topic, partition, low)
        if low <= position <= high:
            return TopicPartition(topic, partition, position)
        lost = LostRange(self._group, topic, partition, position, max(low, position))
        self._report(lost, _Reported(tracked, position, TopicPartition(topic, partition, low)), report)
        return None

    def _report(self, lost: LostRange, reported: _Reported, report: Report) -> None:
        metrics.OFFSETS_LOST.labels(self._group, lost.topic, str(lost.partition)).inc(lost.to_offset - lost.from_offset)
        _log.error(
            "offsets lost",
            group=self._group,
            topic=lost.topic,
            partition=lost.partition,
            from_offset=lost.from_offset,
            to_offset=lost.to_offset,
        )
        self._reporting.add((lost.topic, lost.partition))
        report(lost, reported.earliest, lambda: self._reported.put(reported))

    def _go_on(self, tracker: Tracker, places: list[TopicPartition]) -> None:
        """Assign anew: `places` at their new offsets, every other partition where it stands."""
        chosen = {(place.topic, place.partition): place for place in places}
        chosen = {key: place for key, place in chosen.items() if key in self._noted}
        if not chosen:
            return
        settled = set(chosen)
        for tracked in tracker.held():
            if tracked.position is not None:
                place = TopicPartition(tracked.topic, tracked.partition, tracked.position)
                chosen.setdefault((tracked.topic, tracked.partition), place)
        self._consumer.assign([chosen.get((p.topic, p.partition), p) for p in self._consumer.assignment()])
        self._noted -= settled
        self._reporting -= settled
