"""Frames that the topic has no more, from what was kept of them."""

import base64
from dataclasses import dataclass
from typing import Final

from schemas.encoding import format_time
from schemas.errors import InputError, OutageError, UnclearError
from schemas.frame import FRAME_TYPE, INLINE_LIMIT_BYTES, SPEC_VERSION
from schemas.headers import Headers
from sightline.runtime.objectstore import ObjectNotFoundError, ObjectStore, ObjectTooLargeError
from sinks.postgres.replay_frames import KnownFrame
from streams.publish import claim_key

_TRIES: Final = 3
_MAX_BYTES: Final = 256 * 1024 * 1024
_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Restored:
    """A frame as it is sent once more. `frame_id` is forced where the bytes or the time need not give it again."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    frame_id: str | None
    headers_lost: bool
    metadata: dict[str, str | int | float] | None = None
    original: bool = False


class Archive:
    """Kept pictures and the originals of dead letters. Blocks; raises OutageError."""

    def __init__(self, store: ObjectStore | None) -> None:
        self._store = store

    def has(self, known: KnownFrame) -> bool:
        """Tell whether the frame can be had again."""
        if known.answered_at is None or (known.frame_id is None and not known.original):
            return False
        if known.key is None:
            return known.original and known.size_bytes == 0 and known.headers is not None
        return self._store is not None and self._store.stat(known.key) is not None

    def restore(self, known: KnownFrame) -> Restored | None:
        """Return the frame, or None where it is nowhere."""
        if known.answered_at is None:
            return None
        value = None if known.key is None else self._fetch(known.key)
        if value is None and not (known.original and known.key is None):
            return None
        timestamp_ms = round(known.answered_at.timestamp() * _MS)
        if known.original:
            headers = _headers(known)
            timed = known.headers_lost or any(name == "ce_time" for name, _ in headers)
            if not timed and known.captured_at is not None:  # it was taken from its arrival
                timestamp_ms = round(known.captured_at.timestamp() * _MS)
            frame_id = None if timed else known.frame_id
            return Restored(
                known.message_key, value, headers, timestamp_ms, frame_id, known.headers_lost, original=True
            )
        return self._made(known, value or b"", timestamp_ms)

    def _made(self, known: KnownFrame, value: bytes, timestamp_ms: int) -> Restored:
        """Make a frame of a kept picture; one that was too large to travel inline is claimed again."""
        key = None if known.source is None else known.source.encode()
        headers = _headers_of(known)
        if len(value) <= INLINE_LIMIT_BYTES or self._store is None:
            return Restored(key, value, headers, timestamp_ms, known.frame_id, False, known.metadata)
        name = claim_key(value)
        self._store.put(name, value, known.media_type or "application/octet-stream")
        headers.append(("ce_dataref", self._store.address(name).encode()))
        return Restored(key, None, headers, timestamp_ms, known.frame_id, False, known.metadata)

    def _fetch(self, key: str) -> bytes | None:
        if self._store is None:
            return None
        for _ in range(_TRIES):
            try:
                return self._store.get(key, _MAX_BYTES)
            except (ObjectNotFoundError, ObjectTooLargeError, InputError):
                return None
            except UnclearError:
                continue
        raise OutageError("objects", f"an object could not be read in {_TRIES} tries")


def _headers(known: KnownFrame) -> Headers:
    pairs = known.headers or []
    return [(name or "", None if value is None else base64.b64decode(value)) for name, value in pairs]


def _headers_of(known: KnownFrame) -> Headers:
    """Say of a kept picture what the frame said; settings that the frame had of its own are not known any more."""
    fields = {
        "ce_specversion": SPEC_VERSION,
        "ce_type": FRAME_TYPE,
        "ce_id": known.event_id,
        "ce_source": known.source,
        "ce_time": None if known.captured_at is None else format_time(known.captured_at),
        "content-type": known.media_type,
    }
    return [(name, text.encode()) for name, text in fields.items() if text is not None]
