"""How values are written: times, canonical JSON, rounded numbers."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

# Clock and zone are bounded here, since Python's releases differ in what fromisoformat lets through.
_RFC_3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?"
    r"([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time, as CloudEvents wants it, into UTC with microseconds (finer digits are cut).

    Raises ValueError when the text is anything else, lacks a zone, is a date that does not exist, or a leap
    second (second 60), which neither Python nor PostgreSQL can hold.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time with a zone")
    date, clock, fraction, zone = match.groups()
    micros = (fraction or "0")[:6].ljust(6, "0")
    offset = "+00:00" if zone in {"Z", "z"} else zone
    return to_utc(datetime.fromisoformat(f"{date}T{clock}.{micros}{offset}"))


def to_utc(moment: datetime) -> datetime:
    """Express a time in UTC.

    Raises ValueError when it has no zone (the machine's own would give other ids on other machines), or when
    UTC takes it out of the years 1 to 9999.
    """
    if moment.utcoffset() is None:
        raise ValueError("a time without a zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range once in UTC") from error


def format_time(moment: datetime) -> str:
    """Write a time in UTC with microseconds and a Z; it sorts as text. Raises ValueError as `to_utc`."""
    return to_utc(moment).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_timestamp_ms(timestamp_ms: int) -> datetime:
    """Turn Kafka's milliseconds since 1970 into a time in UTC.

    A producer may write any 64-bit number: what lies outside the years 1 to 9999 becomes their edge.
    """
    try:
        return _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return _LATEST if timestamp_ms > 0 else _EARLIEST


def canonical_json(value: Any) -> bytes:
    """Write JSON with sorted keys and no blanks, so that equal values have equal bytes.

    Raises ValueError on NaN and infinities, which JSON does not have, and on lone surrogates.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
