"""What a process works on at this moment, in memory that its supervisor shares.

The process writes, its supervisor reads: while the process lives to see how long it has been at it, and after its
death to see what it had in hand. The memory is anonymous and inherited by fork, so nothing is left anywhere.
"""

import json
import mmap
import queue
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

# So many records fit a slot, whatever their offsets are.
MOST_TOGETHER: Final = 1000
_SLOT_BYTES: Final = 64 * 1024
_SLOTS: Final = 64
_HEAD: Final = struct.Struct("<IdQ")  # length of the text (0: empty), start, resident bytes at the start
_TAIL: Final = struct.Struct("<IB")  # port, whether the work returned
_TAIL_AT: Final = _SLOTS * _SLOT_BYTES


class Place(NamedTuple):
    """One record. Its append time tells it from one that got its offset after the topic was made anew."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """Records that are worked on together, since `started_s` of the machine's monotonic clock.

    `resident_bytes` is what the process had resident at that time. `alone` is set for one record while nothing else is
    worked on: at how many deaths it was in hand before, and at how many of them alone.
    """

    places: tuple[Place, ...]
    started_s: float = 0.0
    resident_bytes: int = 0
    alone: tuple[int, int] | None = None


class InHand:
    """The shared memory. `put` and `clear` are the process's, from any of its threads; `read` is the supervisor's."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TAIL_AT + _TAIL.size)
        # The slot that was freed last goes first: only pages that were touched take memory.
        self._free: queue.LifoQueue[int] = queue.LifoQueue()
        for slot in reversed(range(_SLOTS)):
            self._free.put(slot)

    def put(self, places: Sequence[Place], alone: tuple[int, int] | None = None) -> int:
        """Note that work on `places` (at most MOST_TOGETHER) begins; return the slot. Blocks while all are taken."""
        slot = self._free.get()
        start = slot * _SLOT_BYTES
        text = _packed(places, alone)
        self._memory[start + _HEAD.size : start + _HEAD.size + len(text)] = text
        # The length comes last: a slot that is half written is an empty one.
        _HEAD.pack_into(self._memory, start, len(text), time.monotonic(), resident_bytes())
        return slot

    def clear(self, slot: int) -> None:
        """Note that the work of `put` is over."""
        _HEAD.pack_into(self._memory, slot * _SLOT_BYTES, 0, 0.0, 0)
        self._free.put(slot)

    def read(self) -> list[Held]:
        """Return what is in hand."""
        held = []
        for start in range(0, _TAIL_AT, _SLOT_BYTES):
            length, started_s, resident = _HEAD.unpack_from(self._memory, start)
            if length:
                text = self._memory[start + _HEAD.size : start + _HEAD.size + length]
                places, alone = _unpacked(text)
                held.append(Held(places, started_s, resident, alone))
        return held

    def started(self) -> list[float]:
        """Return when each piece of work in hand began: cheaper than `read`."""
        heads = (_HEAD.unpack_from(self._memory, start) for start in range(0, _TAIL_AT, _SLOT_BYTES))
        return [started_s for length, started_s, _ in heads if length]

    @property
    def port(self) -> int | None:
        """The port of the process's health page, once it has one; the process that follows takes the same."""
        return int(_TAIL.unpack_from(self._memory, _TAIL_AT)[0]) or None

    @port.setter
    def port(self, port: int) -> None:
        _TAIL.pack_into(self._memory, _TAIL_AT, port, self.returned)

    @property
    def returned(self) -> bool:
        """Whether the work came to its own end, with whatever exit code."""
        return bool(_TAIL.unpack_from(self._memory, _TAIL_AT)[1])

    @returned.setter
    def returned(self, returned: bool) -> None:
        _TAIL.pack_into(self._memory, _TAIL_AT, self.port or 0, returned)


def resident_bytes(pid: int | None = None) -> int:
    """Return the memory that a process (this one unless told) has resident; 0 when it is gone."""
    try:
        with open(f"/proc/{'self' if pid is None else pid}/statm", "rb") as file:  # noqa: PTH123 -- asked ten times a second
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError):
        return 0


def _packed(places: Iterable[Place], alone: tuple[int, int] | None) -> bytes:
    grouped: dict[str, dict[int, list[tuple[int, int]]]] = {}
    for place in places:
        grouped.setdefault(place.topic, {}).setdefault(place.partition, []).append((place.offset, place.timestamp_ms))
    return json.dumps([alone, grouped], separators=(",", ":")).encode()


def _unpacked(text: bytes) -> tuple[tuple[Place, ...], tuple[int, int] | None]:
    alone, grouped = json.loads(text)
    places = tuple(
        Place(topic, int(partition), offset, timestamp_ms)
        for topic, partitions in grouped.items()
        for partition, records in partitions.items()
        for offset, timestamp_ms in records
    )
    return places, None if alone is None else (alone[0], alone[1])
