"""Reading topics without joining a group: nothing is committed, no worker is disturbed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas.errors import ConfigurationError, OutageError
from schemas.headers import Headers
from sightline.runtime.kafka import make_reader, map_kafka_error
from sightline.runtime.log import get_logger
from sightline.runtime.settings import KafkaSettings
from streams.messages import headers_of

_log = get_logger(__name__)
_POLL_S = 0.2
# So many are in hand at a time, of which each may be as large as a message can be; the queue before it counts bytes.
AT_A_TIME = 16
# What the client gets over by itself: these are reported while it tries again.
_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 -- this is how the library names its client-side codes
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
}


class Edge(Enum):
    """An end of the log."""

    BEGINNING = OFFSET_BEGINNING
    END = OFFSET_END


# An offset for each partition, by topic and number; one that is not named begins at its beginning.
Offsets = Mapping[tuple[str, int], int]
Start = Edge | datetime | Offsets


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record. `headers` is None when they cannot be read; `dated` says that the time is the broker's."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None
    dated: bool = False


def follow_topic(
    settings: KafkaSettings, topic: str, start: Start, *, timeout_s: float, idle_s: float | None = None
) -> Iterator[TopicRecord]:
    """Yield the records of a topic as they come, until nothing has come for `idle_s`; None: for ever.

    An outage in between is waited out. Raises OutageError when the broker cannot be reached within
    `timeout_s` at first, and ConfigurationError when there is no such topic.
    """
    with closing(make_reader(settings)) as consumer:
        consumer.assign(_places(consumer, _partitions(consumer, topic, timeout_s), start, timeout_s))
        last = time.monotonic()
        while idle_s is None or time.monotonic() - last < idle_s:
            for message in consumer.consume(AT_A_TIME, _POLL_S):
                if is_record(message):
                    last = time.monotonic()
                    yield topic_record(message)


def read_to_end(settings: KafkaSettings, topic: str, start: Start, *, timeout_s: float) -> Iterator[TopicRecord]:
    """Yield the records of a topic up to its present end; errors as of `follow_topic`, and OutageError in between."""
    with closing(make_reader(settings)) as consumer:
        partitions = _partitions(consumer, topic, timeout_s)
        places = _places(consumer, partitions, start, timeout_s)
        consumer.assign(places)
        unfinished = {place.partition for place in places}
        last = time.monotonic()
        while unfinished:
            if time.monotonic() - last > timeout_s:
                raise OutageError("kafka", f"nothing more of {topic} came for {timeout_s:.0f} s")
            for message in consumer.consume(AT_A_TIME, _POLL_S):
                if at_end(message):
                    unfinished.discard(message.partition() or 0)
                    last = time.monotonic()
                elif is_record(message):
                    last = time.monotonic()
                    yield topic_record(message)


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """A partition was read to its end; `offset` is the next one, behind any transaction markers."""

    topic: str
    partition: int
    offset: int


def read_all_to_end(
    settings: KafkaSettings, names: Sequence[str], start: Start, *, timeout_s: float
) -> Iterator[TopicRecord | PartitionEnd]:
    """Yield the records of several topics side by side, and each partition's end once; errors as of `read_to_end`."""
    with closing(make_reader(settings)) as consumer:
        places = [
            place
            for name in names
            for place in _places(consumer, _partitions(consumer, name, timeout_s), start, timeout_s)
        ]
        consumer.assign(places)
        unfinished = {(place.topic, place.partition) for place in places}
        last = time.monotonic()
        while unfinished:
            if time.monotonic() - last > timeout_s:
                raise OutageError("kafka", f"nothing more of {', '.join(names)} came for {timeout_s:.0f} s")
            for message in consumer.consume(AT_A_TIME, _POLL_S):
                ended = (message.topic() or "", message.partition() or 0)
                if at_end(message) and ended in unfinished:
                    unfinished.discard(ended)
                    yield PartitionEnd(*ended, message.offset() or 0)
                elif is_record(message):
                    yield topic_record(message)
                last = time.monotonic()


def read_records(settings: KafkaSettings, places: Sequence[TopicPartition], *, timeout_s: float) -> list[TopicRecord]:
    """Return the first record at or after each place, where there is one. Raises OutageError."""
    found: dict[tuple[str, int], TopicRecord] = {}
    ended: set[tuple[str, int]] = set()
    with closing(make_reader(settings)) as consumer:
        consumer.assign(list(places))
        until = time.monotonic() + timeout_s
        while len(found.keys() | ended) < len(places):
            if time.monotonic() > until:
                raise OutageError("kafka", f"no answer within {timeout_s:.0f} s")
            for message in consumer.consume(len(places), _POLL_S):
                place = (message.topic() or "", message.partition() or 0)
                if at_end(message):
                    ended.add(place)
                elif is_record(message) and place not in found:
                    found[place] = topic_record(message)
                    consumer.incremental_unassign([TopicPartition(*place)])
    return list(found.values())


def check_topic(settings: KafkaSettings, topic: str, *, timeout_s: float) -> int:
    """Return how many partitions a topic has. Raises OutageError, and ConfigurationError when there is no such one."""
    with closing(make_reader(settings)) as consumer:
        return len(_partitions(consumer, topic, timeout_s))


def _partitions(consumer: Consumer, topic: str, timeout_s: float) -> list[TopicPartition]:
    try:
        described = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
    if described.error is not None or not described.partitions:
        raise ConfigurationError(topic, "there is no such topic; `sightline topics apply` makes those of a pipeline")
    return [TopicPartition(topic, number) for number in described.partitions]


def _places(
    consumer: Consumer, partitions: list[TopicPartition], start: Start, timeout_s: float
) -> list[TopicPartition]:
    if isinstance(start, Edge):
        return [TopicPartition(place.topic, place.partition, start.value) for place in partitions]
    if isinstance(start, Mapping):
        named = [(place.topic, place.partition) for place in partitions]
        return [TopicPartition(*place, start.get(place, OFFSET_BEGINNING)) for place in named]
    wanted_ms = round(start.timestamp() * 1000)
    asked = [TopicPartition(place.topic, place.partition, wanted_ms) for place in partitions]
    try:
        return consumer.offsets_for_times(asked, timeout=timeout_s)
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error


def at_end(message: Message) -> bool:
    """Tell the end of a partition from a record."""
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001


def is_record(message: Message) -> bool:
    """Tell records from events. Raises OutageError for what does not pass by itself."""
    error = message.error()
    if error is None:
        return True
    if at_end(message):
        return False
    if error.code() not in _PASSING:
        raise map_kafka_error(error)
    _log.warning("kafka away, waiting", code=error.name())
    return False


def topic_record(message: Message) -> TopicRecord:
    """Return a message that is a record, independent of the client library."""
    kind, timestamp_ms = message.timestamp()
    return TopicRecord(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_ms=timestamp_ms,
        key=message.key(),
        value=message.value(),
        headers=headers_of(message),
        dated=kind == TIMESTAMP_LOG_APPEND_TIME,
    )
