"""Reading single records by their place, and with them the originals of dead letters."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from schemas.deadletter import original_headers
from schemas.encoding import format_time
from schemas.errors import OutageError
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.identity import sha256_hex
from sightline.runtime.kafka import SERVICE, make_reader, map_kafka_error
from sightline.runtime.objectstore import ObjectNotFoundError, ObjectStore
from sightline.runtime.settings import KafkaSettings
from sinks.deadletter import receive_dead_letter
from sinks.objects.keys import dead_letter_key
from sinks.protocol import SinkRecord
from streams.read import TopicRecord, at_end, is_record, topic_record
from streams.redrive_plan import Original

_POLL_S = 0.2
# Up to so many records in between are read over; beyond that, fetching anew is cheaper.
_NEAR = 200
_MAX_BYTES = 64 * 1024 * 1024


class RecordReader:
    """Reads committed records one by one; joins no group. Used by one thread. Neighbours in a row come fast."""

    def __init__(self, settings: KafkaSettings, timeout_s: float) -> None:
        self._consumer = make_reader(settings)
        self._timeout_s = timeout_s
        self._at: tuple[str, int] | None = None
        self._next = 0

    def read(self, place: Origin, *, decided: bool = False) -> TopicRecord | None:
        """Return the record at `place`, or None when there is none. Raises OutageError.

        With `decided` None means that there never will be one: while a transaction is open at or before the place,
        this waits, and raises OutageError in the end.
        """
        self._go_to(place)
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            for message in self._consumer.consume(1, _POLL_S):
                if at_end(message):
                    if decided and (message.offset() or 0) <= place.offset:
                        continue
                    self._at = None
                    return None
                if is_record(message):
                    record = topic_record(message)
                    if record.offset == place.offset:
                        self._next = record.offset + 1
                        return record
                    # Behind what was asked for: the log is shorter than that and was begun anew.
                    if record.offset > place.offset or record.offset < self._next:
                        self._at = None
                        return None
                    self._next = record.offset + 1
        self._at = None
        raise OutageError(SERVICE, f"no answer about {place.topic} within {self._timeout_s:.0f} s")

    def knows(self, topic: str) -> bool:
        """Tell whether there is such a topic. A producer that asks may make it. Raises OutageError."""
        try:
            return self._consumer.list_topics(topic, timeout=self._timeout_s).topics[topic].error is None
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error

    def first_offset(self, place: Origin) -> int:
        """Return the first offset that retention has left in this partition. Raises OutageError."""
        where = TopicPartition(place.topic, place.partition)
        try:
            low, _ = self._consumer.get_watermark_offsets(where, timeout=self._timeout_s)
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
        return low

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()

    def _go_to(self, place: Origin) -> None:
        where = (place.topic, place.partition)
        if self._at != where or not self._next <= place.offset <= self._next + _NEAR:
            self._consumer.assign([TopicPartition(*where, place.offset)])
            self._at, self._next = where, place.offset


class Originals:
    """Finds what dead letters were made of: on their topic, or in row and object store once retention took them."""

    def __init__(self, reader: RecordReader, store: ObjectStore | None) -> None:
        self._reader = reader
        self._store = store

    def find(self, row: Mapping[str, Any]) -> Original | None:
        """Return key, value and headers byte for byte, or None when they are nowhere. Raises OutageError."""
        record = self._reader.read(Origin(row["dl_topic"], row["dl_partition"], row["dl_offset"]))
        if record is not None and record.headers is not None and _dl_id(record) == row["dl_id"]:
            key, stored, all_headers = record.key, record.value, record.headers
            headers = original_headers(all_headers)
        elif row["headers"] is not None:
            key = None if row["key"] is None else bytes(row["key"])
            headers, stored = decode_headers(row["headers"]), None
            all_headers = headers + _block(row)
        else:
            return None
        if stored is not None or (row["value_size"] is None and row["dataref"] is None):
            return Original(key, stored, headers, all_headers, stored)
        value = self._object(row)
        return None if value is None else Original(key, value, headers, all_headers, None if row["dataref"] else value)

    def _object(self, row: Mapping[str, Any]) -> bytes | None:
        if self._store is None:
            return None
        try:
            value = self._store.get(dead_letter_key(row["pipeline"], row["dl_id"]), max_bytes=_MAX_BYTES)
        except ObjectNotFoundError:
            return None
        return value if row["value_sha256"] in {None, sha256_hex(value)} else None


def decode_headers(column: Any) -> Headers:
    """Read headers as the column `headers` holds them."""
    pairs = json.loads(column) if isinstance(column, str) else column
    return [(name, None if encoded is None else base64.b64decode(encoded)) for name, encoded in pairs or ()]


def _dl_id(record: TopicRecord) -> str:
    where = (record.topic, record.partition, record.offset, record.timestamp_ms)
    return receive_dead_letter(SinkRecord(*where, record.key, record.value, record.headers)).dl_id


def _block(row: Mapping[str, Any]) -> Headers:
    """Write the last block again from its columns."""
    fields = {
        "dl_id": row["dl_id"],
        "dl_stage": row["stage"],
        "dl_code": row["code"],
        "dl_reason": row["reason"] or "",
        "dl_attempt": row["attempt"],
        "dl_topic": row["origin_topic"],
        "dl_partition": row["origin_partition"],
        "dl_offset": row["origin_offset"],
        "dl_time": None if row["dl_time"] is None else format_time(row["dl_time"]),
        "dl_worker": row["worker"] or "",
        "dl_dataref": row["dataref"],
        "dl_frame_id": row["frame_id"],
        "dl_headers_lost": "true" if row["headers_lost"] else None,
    }
    return [(name, str(value).encode()) for name, value in fields.items() if value is not None]
