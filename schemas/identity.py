"""Derived ids: the same input gives the same id on any worker, on any day, in any release.

Every id is the first 128 bits of SHA-256 over length-prefixed parts, written as a UUID of version 8
(RFC 9562, section 5.8: vendor-specific). The length prefix keeps ("ab", "c") and ("a", "bc") apart, the
marker byte keeps null and empty apart, the leading name keeps ids of different kinds apart.
"""

import hashlib
import uuid
from datetime import datetime

from schemas.encoding import format_time


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def frame_id(source: str, event_id: str, captured_at: datetime, content: str) -> str:
    """Identify a frame; `content` is the SHA-256 (hex) of its value, or its `ce_dataref`."""
    return _derive("frame", source, event_id, format_time(captured_at), content)


def result_id(frame: str, pipeline: str, replay_id: str | None, variant: str) -> str:
    """Identify the result of a frame. Model and settings are facts of a result, not part of its id."""
    return _derive("result", frame, pipeline, replay_id, variant)


def dead_letter_id(topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes | None, stage: str) -> str:
    """Identify the failure of one record (its log position and content) at one stage."""
    content = None if value is None else sha256_hex(value)
    return _derive("dead-letter", topic, str(partition), str(offset), str(timestamp_ms), content, stage)


def replayed_dead_letter_id(
    replay_id: str, topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes | None, stage: str
) -> str:
    """Identify the failure of one record in a replay, by the record's first place: sent twice, it fails once."""
    content = None if value is None else sha256_hex(value)
    place = (topic, str(partition), str(offset), str(timestamp_ms))
    return _derive("replayed-dead-letter", replay_id, *place, content, stage)


def promoted_id(replayed_result: str) -> str:
    """Identify what a replay's result is published as once it is promoted."""
    return _derive("promoted", replayed_result)


def alert_id(rule: str, source: str, window: str) -> str:
    """Identify an alert: one rule says one thing about one source once a window."""
    return _derive("alert", rule, source, window)


def command_key(source: str, command_id: str) -> str:
    """Identify a command for replays: an event's id is unique within its source."""
    return _derive("replay-command", source, command_id)


def _derive(kind: str, *parts: str | None) -> str:
    digest = hashlib.sha256()
    for part in (kind, *parts):
        if part is None:
            digest.update(b"\x00")
        else:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(b"\x01" + len(data).to_bytes(8, "big") + data)
    raw = bytearray(digest.digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(raw)))
