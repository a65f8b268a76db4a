"""A frame: one picture as it arrives, in the Kafka binding of CloudEvents 1.0.

Binary mode: the value is the picture, the metadata are headers. Structured mode
(`application/cloudevents+json`): the value is a JSON envelope with the picture in `data_base64`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas import identity
from schemas.encoding import format_time, from_timestamp_ms, parse_time
from schemas.envelope import open_envelope
from schemas.errors import Code, InputError, Stage
from schemas.headers import Headers, last_text, single_values

FRAME_TYPE = "sightline.frame.v1"
SPEC_VERSION = "1.0"
STRUCTURED_MEDIA_TYPE = "application/cloudevents+json"
INLINE_LIMIT_BYTES = 8 * 1024 * 1024
# Base64 grows the picture by a third; the rest of an envelope is small.
ENVELOPE_LIMIT_BYTES = INLINE_LIMIT_BYTES * 4 // 3 + 64 * 1024
FUTURE_TOLERANCE = timedelta(seconds=300)
MAX_ATTRIBUTE_LENGTH = 1024
_BOOLEANS = {"true": True, "false": False}
# float() alone also takes "0_1", blanks, and the digits of other scripts.
NUMBER = re.compile(r"(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?")
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Origin:
    """A record's place in the log."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class FrameSettings:
    """What a frame asks for itself; None leaves the pipeline's own setting in force."""

    confidence: float | None = None
    iou: float | None = None
    overlay: bool | None = None
    keep: bool | None = None
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose envelope is valid. Of `value` and `dataref` exactly one is there."""

    frame_id: str
    event_id: str
    source: str
    captured_at: datetime
    origin: Origin
    value: bytes | None
    sha256: str | None
    dataref: str | None = None
    media_type: str | None = None
    subject: str | None = None
    traceparent: str | None = None
    settings: FrameSettings = FrameSettings()
    # What the camera said of the picture, where that was taken off before: of a kept picture, sent once more.
    metadata: Mapping[str, str | int | float] | None = None


def parse_frame(value: bytes | None, headers: Headers, origin: Origin, timestamp_ms: int) -> Frame:
    """Read a record of a frames topic. `timestamp_ms` is when the broker appended it.

    Raises InputError of stage `frame` when the envelope is not what the contract asks for.
    """
    attributes = single_values(headers)
    traceparent = _traceparent(headers)
    if _media_type(attributes.get("content-type")) == STRUCTURED_MEDIA_TYPE:
        attributes, value = open_envelope(value, ENVELOPE_LIMIT_BYTES)
    _check_versions(attributes)
    event_id = _required(attributes, "ce_id")
    source = _required(attributes, "ce_source")
    captured_at = _capture_time(attributes.get("ce_time"), timestamp_ms)
    dataref = attributes.get("ce_dataref")
    _check_value(value, dataref)
    sha256 = None if dataref is not None or value is None else identity.sha256_hex(value)
    return Frame(
        frame_id=identity.frame_id(source, event_id, captured_at, sha256 or dataref or ""),
        event_id=event_id,
        source=source,
        captured_at=captured_at,
        origin=origin,
        value=None if dataref is not None else value,
        sha256=sha256,
        dataref=dataref,
        media_type=_media_type(_bounded(attributes, "content-type")),
        subject=_bounded(attributes, "ce_subject") or None,
        traceparent=traceparent or _trace_context(attributes.get("ce_traceparent", "")),
        settings=_settings(attributes),
    )


def frame_headers(
    *,
    event_id: str,
    source: str,
    media_type: str,
    captured_at: datetime | None = None,
    extensions: Mapping[str, str] | None = None,
) -> Headers:
    """Return the headers of a frame to publish; `extensions` maps names such as `keep` to values."""
    pairs = {"ce_specversion": SPEC_VERSION, "ce_type": FRAME_TYPE, "ce_id": event_id, "ce_source": source}
    if captured_at is not None:
        pairs["ce_time"] = format_time(captured_at)
    pairs["content-type"] = media_type
    pairs.update({f"ce_{name}": text for name, text in (extensions or {}).items()})
    return [(name, text.encode()) for name, text in pairs.items()]


def _check_versions(attributes: dict[str, str]) -> None:
    if _required(attributes, "ce_specversion") != SPEC_VERSION:
        raise InputError(Code.SPECVERSION_UNKNOWN, Stage.FRAME, f"ce_specversion must be {SPEC_VERSION}")
    if _required(attributes, "ce_type") != FRAME_TYPE:
        raise InputError(Code.TYPE_UNKNOWN, Stage.FRAME, f"ce_type must be {FRAME_TYPE}")


def _required(attributes: dict[str, str], name: str) -> str:
    text = _bounded(attributes, name)
    if not text:
        raise InputError(Code.HEADER_MISSING, Stage.FRAME, f"{name} is missing or empty")
    return text


def _bounded(attributes: dict[str, str], name: str) -> str:
    text = attributes.get(name, "")
    if len(text) > MAX_ATTRIBUTE_LENGTH:
        reason = f"{name} has {len(text)} characters, at most {MAX_ATTRIBUTE_LENGTH} are allowed"
        raise InputError(Code.HEADER_VALUE_INVALID, Stage.FRAME, reason)
    return text


def _capture_time(text: str | None, timestamp_ms: int) -> datetime:
    """Compare with the append time, not with a clock of ours, so that a replay answers the same."""
    appended_at = from_timestamp_ms(timestamp_ms)
    if text is None:
        return appended_at
    captured_at = _time("ce_time", text)
    ahead = captured_at - appended_at
    if ahead > FUTURE_TOLERANCE:
        reason = f"ce_time is {ahead.total_seconds():.0f} s after the record's time"
        raise InputError(Code.TIME_IN_FUTURE, Stage.FRAME, reason)
    return captured_at


def _time(name: str, text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise InputError(Code.TIME_INVALID, Stage.FRAME, f"{name} is not an RFC 3339 time with a zone") from None


def _check_value(value: bytes | None, dataref: str | None) -> None:
    if dataref is not None:
        if value:
            raise InputError(Code.DATAREF_WITH_VALUE, Stage.FRAME, "a value stands together with ce_dataref")
        if not dataref or len(dataref) > MAX_ATTRIBUTE_LENGTH:
            raise InputError(Code.CLAIM_INVALID, Stage.FRAME, "ce_dataref is empty or too long")
    elif value is None:
        raise InputError(Code.VALUE_NULL, Stage.FRAME, "the value is null and there is no ce_dataref")
    elif not value:
        raise InputError(Code.VALUE_EMPTY, Stage.FRAME, "the value is empty and there is no ce_dataref")
    elif len(value) > INLINE_LIMIT_BYTES:
        reason = f"{len(value)} bytes inline, at most {INLINE_LIMIT_BYTES} are allowed; use a claim check"
        raise InputError(Code.INLINE_TOO_LARGE, Stage.FRAME, reason)


def _settings(attributes: dict[str, str]) -> FrameSettings:
    deadline = attributes.get("ce_deadline")
    return FrameSettings(
        confidence=_share(attributes, "ce_confidence"),
        iou=_share(attributes, "ce_iou"),
        overlay=_boolean(attributes, "ce_overlay"),
        keep=_boolean(attributes, "ce_keep"),
        deadline=None if deadline is None else _time("ce_deadline", deadline),
    )


def _share(attributes: dict[str, str], name: str) -> float | None:
    text = attributes.get(name)
    if text is None:
        return None
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    if not 0.0 <= number <= 1.0:
        raise InputError(Code.SETTING_INVALID, Stage.FRAME, f"{name} is not a number from 0 to 1")
    return number


def _boolean(attributes: dict[str, str], name: str) -> bool | None:
    text = attributes.get(name)
    if text is None:
        return None
    if text not in _BOOLEANS:
        raise InputError(Code.SETTING_INVALID, Stage.FRAME, f"{name} is neither true nor false")
    return _BOOLEANS[text]


def _media_type(content_type: str | None) -> str | None:
    """Drop parameters and case: `image/JPEG; q=1` is `image/jpeg`."""
    return (content_type or "").split(";", 1)[0].strip().lower() or None


def _traceparent(headers: Headers) -> str | None:
    return _trace_context(last_text(headers, "traceparent") or "")


def _trace_context(text: str) -> str | None:
    """Ignore what is no W3C trace context, as its specification wants: a trace never stops a frame."""
    return text if TRACEPARENT.fullmatch(text) else None
