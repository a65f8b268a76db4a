"""Which offsets of each partition a replay is of, fixed when it is planned."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas import topics
from schemas.errors import ConfigurationError
from sightline.runtime.kafka import make_reader, map_kafka_error
from sightline.runtime.settings import KafkaSettings
from sinks.postgres.replay_frames import FrameRows
from streams.replay.selection import Selection


@dataclass(frozen=True, slots=True)
class Marks:
    """What the log of one partition holds: offsets from `low` to before `high`; `begin` and `end` by arrival."""

    low: int
    high: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Places:
    """Frames that rows choose: offsets by partition."""

    offsets: Mapping[int, frozenset[int]]
    frame_ids: frozenset[str]


def read_marks(settings: KafkaSettings, selection: Selection, *, timeout_s: float) -> dict[int, Marks]:
    """Look at the frames topic. Blocks. Raises OutageError, and ConfigurationError without such a topic."""
    topic = topics.frames(selection.pipeline)
    with closing(make_reader(settings)) as consumer:
        try:
            described = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
            if described.error is not None or not described.partitions:
                raise ConfigurationError(topic, "there is no such topic")
            numbers = sorted(described.partitions)
            edges = {
                number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=timeout_s)
                for number in numbers
            }
            begins = _at(consumer, topic, edges, selection.arrived_from, timeout_s, end=False)
            ends = _at(consumer, topic, edges, selection.arrived_to, timeout_s, end=True)
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
    return {number: Marks(*edges[number], begins[number], ends[number]) for number in numbers}


def _at(
    consumer: Consumer,
    topic: str,
    edges: Mapping[int, tuple[int, int]],
    moment: datetime | None,
    timeout_s: float,
    *,
    end: bool,
) -> dict[int, int]:
    """Return the first offset at or after a moment, by partition; without one, the log's beginning or its end."""
    if moment is None:
        return {number: edge[1] if end else edge[0] for number, edge in edges.items()}
    asked = [TopicPartition(topic, number, round(moment.timestamp() * 1000)) for number in edges]
    found = {place.partition: place.offset for place in consumer.offsets_for_times(asked, timeout=timeout_s)}
    return {number: found[number] if found[number] >= 0 else edges[number][1] for number in edges}


def read_places(rows: FrameRows, selection: Selection, before: datetime) -> Places | None:
    """Return the frames that rows choose, or None where the records themselves say who is meant. Blocks.

    Whenever they were answered: the windows say when they arrived.
    """
    if not selection.by_rows:
        return None
    offsets: dict[int, set[int]] = {}
    frame_ids: set[str] = set()
    for partition, offset, frame_id in rows.places(selection.rows(before, by_answer=False)):
        offsets.setdefault(partition, set()).add(offset)
        if frame_id is not None:
            frame_ids.add(frame_id)
    return Places({partition: frozenset(found) for partition, found in offsets.items()}, frozenset(frame_ids))


def fix_windows(
    selection: Selection, marks: Mapping[int, Marks], places: Places | None, earliest: Mapping[int, int]
) -> dict[int, tuple[int, int]]:
    """Return the first offset and the end (exclusive) of each partition that has any.

    `earliest` are the first offsets that rows know of: what the topic has no more may be kept elsewhere. Raises
    ConfigurationError for a partition that there is not.
    """
    unknown = [number for number in selection.offsets if number not in marks]
    if unknown:
        raise ConfigurationError("--offsets", f"there is no partition {unknown[0]}; there are {len(marks)}")
    windows = {}
    for number, mark in marks.items():
        begin, end = _window(number, mark, selection, places, earliest)
        if begin < end:
            windows[number] = (begin, end)
    return windows


def _window(
    number: int, mark: Marks, selection: Selection, places: Places | None, earliest: Mapping[int, int]
) -> tuple[int, int]:
    begin, end = mark.begin, mark.end
    if selection.archive and begin <= mark.low:
        begin = min(begin, earliest.get(number, begin))
    if places is not None:
        found = places.offsets.get(number)
        if not found:
            return 0, 0
        begin, end = max(begin, min(found)), min(end, max(found) + 1)
    if selection.offsets:
        if number not in selection.offsets:
            return 0, 0
        first, last = selection.offsets[number]
        begin = first if selection.arrived_from is None and places is None else max(begin, first)
        end = end if last is None else min(end, last)
    return begin if selection.archive else max(begin, mark.low), end
