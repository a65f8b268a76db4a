"""Tries the newest frames of a topic: read beside the group, published nowhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.errors import OutageError
from sightline.runtime.kafka import make_reader, map_kafka_error
from sightline.runtime.log import get_logger
from sightline.runtime.settings import KafkaSettings
from streams.flood import Verdict
from streams.read import at_end, is_record, topic_record
from streams.tracker import Record, Tracker

_log = get_logger(__name__)
_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.2

# Judges records; of those that are skipped there is no verdict.
Judge = Callable[[Sequence[Record]], Sequence[Verdict]]


class FreshFrames:
    """See `streams.flood.Newest`. Takes about `most` frames, the same number of each partition, and `max_bytes`."""

    def __init__(self, settings: KafkaSettings, topic: str, judge: Judge, most: int, max_bytes: int) -> None:
        self._settings = settings
        self._topic = topic
        self._judge = judge
        self._most = most
        self._max_bytes = max_bytes
        self._ends: dict[int, int] | None = None

    def mark(self) -> None:
        """Remember where the log ends; without a broker the next try does so."""
        try:
            with closing(make_reader(self._settings)) as consumer:
                self._ends = dict(_ends(consumer, self._topic))
        except (KafkaException, OutageError):
            self._ends = None

    def since_mark(self) -> list[Verdict]:
        """Try the newest frames that came since `mark`; none when nothing did, or the broker is away."""
        if self._ends is None:
            self.mark()
            return []
        return self._try(self._ends)

    def latest(self) -> list[Verdict]:
        """Try the newest frames; none when the broker is away."""
        return self._try({})

    def _try(self, since: dict[int, int]) -> list[Verdict]:
        try:
            records = self._newest(since)
        except OutageError as outage:
            _log.warning("newer frames cannot be read", topic=self._topic, reason=str(outage))
            return []
        return list(self._judge(records)) if records else []

    def _newest(self, since: dict[int, int]) -> list[Record]:
        try:
            with closing(make_reader(self._settings)) as consumer:
                ends = {partition: end for partition, end in _ends(consumer, self._topic)
                        if end > since.get(partition, 0)}  # fmt: skip
                if not ends:
                    return []
                # Twice as far back: markers of transactions may stand between the frames.
                each = max(self._most // len(ends), 1)
                starts = {partition: max(end - 2 * each, since.get(partition, 0)) for partition, end in ends.items()}
                consumer.assign([TopicPartition(self._topic, partition, start) for partition, start in starts.items()])
                records = list(self._read(consumer, set(ends)))
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
        return [record for partition in ends for record in _of(records, partition)[-each:]]

    def _read(self, consumer: Consumer, unfinished: set[int]) -> Iterator[Record]:
        """Yield what comes until the ends, the bytes or the time are reached: what was read by then must do."""
        size_bytes, until = 0, time.monotonic() + _TIMEOUT_S
        while unfinished and size_bytes < self._max_bytes and time.monotonic() < until:
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            if is_record(message):
                size_bytes += len(message.value() or b"")
                yield _record(message)
            elif at_end(message):
                unfinished.discard(message.partition() or 0)


def _ends(consumer: Consumer, topic: str) -> Iterator[tuple[int, int]]:
    for partition in consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions:
        place = TopicPartition(topic, partition)
        yield partition, consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S, cached=False)[1]


def _of(records: Sequence[Record], partition: int) -> list[Record]:
    return [record for record in records if record.partition == partition]


def _record(message: Message) -> Record:
    """Return the message as a record that nobody has to finish."""
    read, nobodys = topic_record(message), Tracker(lambda _: None)
    partition = nobodys.assign(read.topic, read.partition)
    return partition.take(read.offset, read.timestamp_ms, read.key, read.value, read.headers, 0)
