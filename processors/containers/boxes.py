"""ISO base media boxes, and a reader for the fields within them (ISO/IEC 14496-12)."""

from collections.abc import Iterator
from dataclasses import dataclass

from processors.containers.structure import corrupt, truncated

MAX_BOXES = 4096


@dataclass(frozen=True, slots=True)
class Box:
    """One box: `start` of its header, `body` after the header, `end`."""

    kind: bytes
    start: int
    body: int
    end: int


class Fields:
    """Reads big-endian numbers one after the other; raises InputError (corrupt) when they run out."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self.position = start
        self.end = end

    def number(self, size: int) -> int:
        """Return the next unsigned number of `size` bytes; 0 where `size` is 0, as iloc has it."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        start = self.position
        self.position = start + size
        if self.position > self.end:
            raise corrupt("a HEIC box is shorter than its fields")
        return self._data[start : self.position]

    def full_box(self) -> tuple[int, int]:
        """Return version and flags of a full box."""
        return self.number(1), self.number(3)


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between `start` and `end`; raises InputError where one overruns (truncated) or is damaged."""
    for _ in range(MAX_BOXES):
        if start == end:
            return
        box = _box(data, start, end)
        yield box
        start = box.end
    raise corrupt("the HEIC has too many boxes")


def _box(data: bytes, start: int, end: int) -> Box:
    if start + 8 > end:
        raise truncated("the HEIC ends within the header of a box")
    size, body = int.from_bytes(data[start : start + 4], "big"), start + 8
    if size == 1:  # the size follows in 64 bits
        size, body = int.from_bytes(data[start + 8 : start + 16], "big"), start + 16
    elif size == 0:  # up to the end
        size = end - start
    if start + size > end or body > end:
        raise truncated("a HEIC box is longer than the rest of the file")
    if start + size < body:
        raise corrupt("a HEIC box is shorter than its header")
    return Box(data[start + 4 : start + 8], start, body, start + size)
