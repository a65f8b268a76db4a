"""Image file directories: the tables that TIFF files and EXIF blocks are made of (TIFF 6.0, section 2)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

ByteOrder = Literal["<", ">"]
Rational = tuple[int, int]
Value = bytes | tuple[int | float, ...] | tuple[Rational, ...]
"""Text and opaque bytes as bytes, numbers as a tuple, fractions as (numerator, denominator) pairs."""

ENTRY_BYTES = 12
_KIND_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_FRACTIONS = {5: "I", 10: "i"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at` is where its own 12 bytes stand, `start` and `end` where its value does."""

    tag: int
    kind: int
    count: int
    at: int
    start: int
    end: int


def read_header(data: bytes) -> tuple[ByteOrder, int] | None:
    """Return byte order and offset of the first directory; None when this is no TIFF header."""
    order: ByteOrder | None = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])  # type: ignore[assignment]
    if order is None or len(data) < 8:  # noqa: PLR2004 - order, magic and offset
        return None
    return order, struct.unpack_from(order + "I", data, 4)[0]


def entry_count(data: bytes, offset: int, order: ByteOrder) -> int | None:
    """Return how many entries the directory at `offset` names; None when it does not lie within `data`."""
    if offset + 2 > len(data):
        return None
    return int(struct.unpack_from(order + "H", data, offset)[0])


def entries(data: bytes, offset: int, order: ByteOrder, limit: int) -> Iterator[Entry]:
    """Yield the entries of known kinds that lie within `data`, at most `limit`. Values may lie outside of it."""
    count = entry_count(data, offset, order) or 0
    for at in range(offset + 2, offset + 2 + min(count, limit) * ENTRY_BYTES, ENTRY_BYTES):
        if at + ENTRY_BYTES > len(data):
            return
        tag, kind, number, pointer = struct.unpack_from(order + "HHII", data, at)
        if kind not in _KIND_BYTES:
            continue
        size = _KIND_BYTES[kind] * number
        start = at + 8 if size <= 4 else pointer  # noqa: PLR2004 - four bytes fit into the entry itself
        yield Entry(tag, kind, number, at, start, start + size)


def value(data: bytes, entry: Entry, order: ByteOrder, limit: int) -> Value | None:
    """Return the first `limit` items of an entry's value; None when it lies outside or is of an unused kind."""
    if entry.end > len(data):
        return None
    count = min(entry.count, limit)
    if entry.kind in {2, 7}:
        return data[entry.start : entry.start + count]
    if entry.kind in _NUMBERS:
        return struct.unpack_from(f"{order}{count}{_NUMBERS[entry.kind]}", data, entry.start)
    if entry.kind in _FRACTIONS:
        flat = struct.unpack_from(f"{order}{2 * count}{_FRACTIONS[entry.kind]}", data, entry.start)
        return tuple(zip(flat[::2], flat[1::2], strict=True))
    return None
