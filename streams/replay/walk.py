"""Goes over the frames of a replay: kept pictures first where the topic has them no more, then the topic."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas import topics
from schemas.errors import OutageError
from sightline.runtime.kafka import SERVICE, make_reader, map_kafka_error
from sightline.runtime.settings import KafkaSettings
from sinks.postgres.replay_frames import FrameRows, KnownFrame
from streams.read import AT_A_TIME, TopicRecord, at_end, is_record, topic_record
from streams.replay.selection import Selection
from streams.replay.windows import Places

_POLL_S: Final = 0.1
_ASK_S: Final = 10.0
_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A frame that is wanted: its record, or what is known of one that the topic has no more; neither: it is gone."""

    partition: int
    offset: int
    record: TopicRecord | None = None
    known: KnownFrame | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """Nothing that is wanted lies before `offset` that was not yielded."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a moment."""


Step = Found | Reached | Idle


@dataclass(frozen=True, slots=True)
class Task:
    """What to go over: the window of each partition that is left, its end exclusive.

    `held_from`: the first offset that each partition held when that was planned. From there on offsets say what arrived
    when; before it rows do, of which those stored after `planned_at` do not count.
    """

    selection: Selection
    planned_at: datetime
    places: Places | None
    windows: Mapping[int, tuple[int, int]]
    held_from: Mapping[int, int]


class Walk:
    """One pass over a task, in order within each partition. Used by one thread; every step may block for a second.

    Raises OutageError for an outage that does not pass by itself.
    """

    def __init__(self, settings: KafkaSettings, rows: FrameRows, task: Task, *, timeout_s: float) -> None:
        self._settings = settings
        self._rows = rows
        self._task = task
        self._timeout_s = timeout_s
        self._topic = topics.frames(task.selection.pipeline)

    def steps(self) -> Iterator[Step]:
        """Yield frames and where reading has come to, until every window is done."""
        with closing(make_reader(self._settings)) as consumer:
            begins = {}
            for partition, (begin, end) in self._task.windows.items():
                low = self._low(consumer, partition)
                yield from self._kept(partition, begin, min(low, end))
                if low < end:
                    begins[partition] = max(begin, low)
            yield from self._read(consumer, begins)

    def _low(self, consumer: Consumer, partition: int) -> int:
        try:
            low: int = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_ASK_S)[0]
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
        return low

    def _kept(self, partition: int, begin: int, end: int) -> Iterator[Step]:
        """Yield what rows know of a range that the topic has no more."""
        selection, held_from = self._task.selection, self._task.held_from[partition]
        while begin < end:
            by_answer = begin < held_from
            until = min(begin + _ROWS, end, held_from if by_answer else end)
            wanted = selection.rows(self._task.planned_at, by_answer=by_answer)
            for known in self._rows.known(wanted, partition, begin, until):
                yield Found(partition, known.offset, known=known if selection.archive else None)
            yield Reached(partition, until)
            begin = until

    def _read(self, consumer: Consumer, begins: Mapping[int, int]) -> Iterator[Step]:
        expected = dict(begins)
        if not expected:
            return
        consumer.assign([TopicPartition(self._topic, partition, offset) for partition, offset in begins.items()])
        silent_s = 0.0  # counted in polls: between two steps, whoever takes them may wait as long as he likes
        while expected:
            messages = consumer.consume(AT_A_TIME, _POLL_S)
            silent_s = 0.0 if messages else silent_s + _POLL_S
            if silent_s > self._timeout_s:
                raise OutageError(SERVICE, f"nothing more of {self._topic} came for {self._timeout_s:.0f} s")
            yield Idle()
            for message in messages:
                partition, offset = message.partition() or 0, message.offset() or 0
                if partition not in expected or not (at_end(message) or is_record(message)):
                    continue
                yield from self._overtaken(consumer, partition, expected[partition], offset)
                end = self._task.windows[partition][1]
                if offset < end and not at_end(message):
                    yield from self._wanted(topic_record(message))
                    expected[partition] = offset + 1
                    if offset + 1 < end:
                        continue
                elif offset < end:
                    continue  # the log ends before the window does: more is on its way to a lagging replica
                yield Reached(partition, end)
                del expected[partition]
                consumer.incremental_unassign([TopicPartition(self._topic, partition)])

    def _overtaken(self, consumer: Consumer, partition: int, expected: int, offset: int) -> Iterator[Step]:
        """Where offsets are skipped, see whether retention took them meanwhile: they may be kept elsewhere."""
        if offset <= expected:
            return
        low = min(self._low(consumer, partition), offset, self._task.windows[partition][1])
        yield from self._kept(partition, expected, low)

    def _wanted(self, record: TopicRecord) -> Iterator[Step]:
        places = self._task.places
        chosen = places is None or record.offset in places.offsets.get(record.partition, frozenset())
        if chosen and self._task.selection.wants(record):
            yield Found(record.partition, record.offset, record=record)
        else:
            yield Reached(record.partition, record.offset + 1)


def unknown_frame_ids(selection: Selection, places: Places | None) -> Sequence[str]:
    """Return the frame ids that are asked for and of which nothing is known."""
    known = frozenset() if places is None else places.frame_ids
    return [frame_id for frame_id in selection.frame_ids if frame_id not in known]
