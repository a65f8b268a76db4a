"""How values are written: times, canonical JSON, rounded numbers."""

import json
import re
from datetime import UTC, datetime
from typing import Any

_RFC_3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time, as CloudEvents wants it, into UTC with microseconds (finer digits are cut).

    Raises ValueError when the text is anything else, lacks a zone, or is a date that does not exist.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time with a zone")
    date, clock, fraction, zone = match.groups()
    micros = (fraction or "0")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{date}T{clock}.{micros}{zone.upper().replace('Z', '+00:00')}").astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range once in UTC") from error


def format_time(moment: datetime) -> str:
    """Write a time in UTC with microseconds and a Z; it sorts as text."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_timestamp_ms(timestamp_ms: int) -> datetime:
    """Turn Kafka's milliseconds since 1970 into a time in UTC."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)


def canonical_json(value: Any) -> bytes:
    """Write JSON with sorted keys and no blanks, so that equal values have equal bytes.

    Raises ValueError on NaN and infinities, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
