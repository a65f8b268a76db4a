"""Reading a dead letter so that it can always be kept.

A dead letter that a sink cannot store is never dead-lettered again. So this reader has no way to fail: a
field that is missing or that no database could hold is left out, and its name is noted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from schemas import topics
from schemas.deadletter import original_headers
from schemas.encoding import parse_time
from schemas.errors import Code, Stage
from schemas.frame import MAX_ATTRIBUTE_LENGTH
from schemas.headers import Headers, last_value
from schemas.identity import dead_letter_id
from schemas.replay import replay_id_of
from sinks.objects.keys import dead_letter_key
from sinks.protocol import SinkRecord

T = TypeVar("T")
_ID = re.compile(r"[0-9a-zA-Z_-]{1,64}", re.ASCII)
_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ReceivedDeadLetter:
    """What could be read of a dead letter. `fields_lost` names what was there but cannot be kept."""

    dl_id: str
    pipeline: str
    stage: str
    code: str
    reason: str | None
    attempt: int | None
    origin_topic: str | None
    origin_partition: int | None
    origin_offset: int | None
    time: datetime | None
    worker: str | None
    dataref: str | None
    frame_id: str | None
    headers_lost: bool
    source: str | None
    event_id: str | None
    captured_at: datetime | None
    media_type: str | None
    replay_id: str | None
    original: Headers
    fields_lost: tuple[str, ...]

    def object_key(self, value: bytes | None) -> str | None:
        """Return the name of the object that holds the value; None when there is none of our making."""
        return None if value is None or self.dataref is not None else dead_letter_key(self.pipeline, self.dl_id)


def receive_dead_letter(record: SinkRecord) -> ReceivedDeadLetter:
    """Read the last dead-letter block and the original's CloudEvents headers. Never raises.

    Without a usable `dl_id` the id is derived from the dead letter's own place in the log.
    """
    headers = record.headers or []
    original = original_headers(headers)
    block = _Fields(_last_block(headers))
    envelope = _Fields(original)
    pipeline = topics.pipeline_of(record.topic) or ""
    dl_id = block.take("dl_id", _plain_id)
    if dl_id is None:
        dl_id = dead_letter_id(
            record.topic, record.partition, record.offset, record.timestamp_ms, record.value, Stage.SINK_POSTGRES
        )
    origin_topic = block.take("dl_topic", _text)
    return ReceivedDeadLetter(
        dl_id=dl_id,
        pipeline=pipeline,
        stage=block.take("dl_stage", _text) or Stage.SINK_POSTGRES.value,
        code=block.take("dl_code", _text) or Code.RECORD_INVALID.value,
        reason=block.take("dl_reason", _text),
        attempt=block.take("dl_attempt", _int32),
        origin_topic=origin_topic,
        origin_partition=block.take("dl_partition", _int32),
        origin_offset=block.take("dl_offset", _int64),
        time=block.take("dl_time", _time),
        worker=block.take("dl_worker", _text),
        dataref=block.take("dl_dataref", _text),
        frame_id=block.take("dl_frame_id", _plain_id),
        headers_lost=record.headers is None or block.take("dl_headers_lost", _text) == "true",
        source=envelope.take("ce_source", _text),
        event_id=envelope.take("ce_id", _text),
        captured_at=envelope.take("ce_time", _time),
        media_type=envelope.take("content-type", _text),
        replay_id=replay_id_of(original),
        original=original,
        fields_lost=(*block.lost, *envelope.lost),
    )


def _last_block(headers: Headers) -> Headers:
    """Return the last `dl_id` and the `dl_*` headers after it: what `original_headers` leaves out."""
    start = max((index for index, (name, _) in enumerate(headers) if name == "dl_id"), default=len(headers))
    return [(name, value) for name, value in headers[start:] if name.startswith("dl_")]


class _Fields:
    """Takes single fields out of headers, and remembers the names of those that are unusable."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
        self.lost: list[str] = []

    def take(self, name: str, convert: Callable[[str], T]) -> T | None:
        value = last_value(self._headers, name)
        if value is None:
            return None
        try:
            return convert(value.decode("utf-8"))
        except ValueError:
            self.lost.append(name)
            return None


def _text(text: str) -> str:
    if "\x00" in text or len(text) > MAX_ATTRIBUTE_LENGTH:
        raise ValueError("text that a column cannot hold")
    return text


def _plain_id(text: str) -> str:
    if _ID.fullmatch(text) is None:
        raise ValueError("not an id of ours")
    return text


def _int32(text: str) -> int:
    return _integer(text, _MAX_INT32)


def _int64(text: str) -> int:
    return _integer(text, _MAX_INT64)


def _integer(text: str, limit: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(limit)) or int(text) > limit:
        raise ValueError("not a number that a column holds")
    return int(text)


def _time(text: str) -> datetime:
    return parse_time(text)
