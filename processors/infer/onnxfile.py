"""Which other files an ONNX file needs, read without a library: ONNX Runtime's errors do not tell.

An ONNX file is a protobuf message. Only the fields that lead to tensors are entered; numbers and weights are skipped,
so that 60 MB take milliseconds. Numbers of fields are those of onnx.proto.
"""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from schemas.errors import ModelCode, ModelError

# What kind of message each field of a message holds.
_INSIDE: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_KEY, _VALUE = 1, 2
_DEEPEST: Final = 100  # as protobuf itself
_LONGEST_VARINT: Final = 10


class _Bytes(Protocol):
    def __getitem__(self, place: int, /) -> int: ...


def external_files(path: Path) -> frozenset[str]:
    """Return the names of the files in which the weights of an ONNX file lie, as it writes them.

    Raises ModelError: `model_missing`, or `model_unreadable` for what is no protobuf message. Blocks for reading.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return frozenset(
                bytes(data[first:last]).decode() for first, last in _locations(data, 0, len(data), "model", 0)
            )
    except OSError as error:
        raise ModelError(ModelCode.MISSING, str(path), "the file cannot be read") from error
    except ValueError as error:  # also of an empty file, which cannot be mapped, and of bytes that are no text
        raise ModelError(ModelCode.UNREADABLE, str(path), "the file is truncated or no ONNX model") from error


def _locations(data: _Bytes, start: int, end: int, kind: str, depth: int) -> Iterator[tuple[int, int]]:
    """Give the places of the names."""
    if depth > _DEEPEST:
        raise ValueError("messages lie too deep in each other")
    if kind == "entry":
        yield from _location(data, start, end)
        return
    for number, first, last in _messages(data, start, end):
        inside = _INSIDE[kind].get(number)
        if inside is not None:
            yield from _locations(data, first, last, inside, depth + 1)


def _location(data: _Bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Give the value's place of a key-value pair whose key is `location`."""
    parts = {number: (first, last) for number, first, last in _messages(data, start, end)}
    first, last = parts.get(_KEY, (0, 0))
    if bytes(data[place] for place in range(first, last)) == b"location" and _VALUE in parts:
        yield parts[_VALUE]


def _messages(data: _Bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give number, start and end of each field that is a message, a text or bytes. Raises ValueError."""
    place = start
    while place < end:
        tag, place = _varint(data, place, end)
        match tag & 7:
            case 0:
                _, place = _varint(data, place, end)
            case 1:
                place += 8
            case 2:
                length, place = _varint(data, place, end)
                if place + length > end:
                    raise ValueError("a field reaches over the end")
                yield tag >> 3, place, place + length
                place += length
            case 5:
                place += 4
            case _:
                raise ValueError("no such type of field")
    if place != end:
        raise ValueError("a field reaches over the end")


def _varint(data: _Bytes, place: int, end: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the place behind it."""
    value = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= end:
            raise ValueError("a number reaches over the end")
        byte = data[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return value, place + index + 1
    raise ValueError("a number is too long")
