"""How far each partition of a replay has come: only what is acknowledged, and all before it, counts."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sinks.postgres.replays import PartitionProgress


@dataclass(slots=True, eq=False)
class Sent:
    """One frame that is on its way, or one that is nowhere; `done` once that is settled."""

    offset: int
    size_bytes: int = 0
    archived: bool = False
    missing: bool = False
    done: bool = False


class Ledger:
    """Progress of one replay. `sent` and `reached` come from the walking thread, `acknowledge` from any."""

    def __init__(self, progress: Iterable[PartitionProgress]) -> None:
        self._lock = threading.Lock()
        self._progress = {one.partition: one for one in progress}
        self._position = {number: one.next_offset for number, one in self._progress.items()}
        self._waiting: dict[int, deque[Sent]] = {number: deque() for number in self._progress}
        self._changed: set[int] = set()

    def sent(self, partition: int, sent: Sent) -> None:
        """Begin to wait for a frame; those of one partition come in order."""
        with self._lock:
            self._waiting[partition].append(sent)
            self._position[partition] = sent.offset + 1
            self._settle(partition)

    def reached(self, partition: int, offset: int) -> None:
        """Note that nothing else is wanted before `offset`."""
        with self._lock:
            self._position[partition] = max(offset, self._position[partition])
            self._settle(partition)

    def acknowledge(self, partition: int, sent: Sent) -> None:
        """Note that the broker has a frame."""
        with self._lock:
            sent.done = True
            self._settle(partition)

    def take_changed(self) -> list[PartitionProgress]:
        """Return the partitions that have come further since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return [self._progress[number] for number in sorted(changed)]

    def give_back(self, changed: Iterable[PartitionProgress]) -> None:
        """Have the next `take_changed` return these partitions again: they could not be saved."""
        with self._lock:
            self._changed |= {one.partition for one in changed}

    def waiting(self) -> int:
        """Return how many frames are not acknowledged."""
        with self._lock:
            return sum(len(waiting) for waiting in self._waiting.values())

    def left(self) -> dict[int, tuple[int, int]]:
        """Return what is still to be read of each partition: from where to before where."""
        with self._lock:
            ends = {number: one.to_offset for number, one in self._progress.items()}
            return {number: (begin, ends[number]) for number, begin in self._position.items() if begin < ends[number]}

    def progress(self) -> list[PartitionProgress]:
        """Return how far every partition has come."""
        with self._lock:
            return list(self._progress.values())

    def _settle(self, partition: int) -> None:
        waiting, one = self._waiting[partition], self._progress[partition]
        before = one
        while waiting and waiting[0].done:
            sent = waiting.popleft()
            one = replace(
                one,
                frames=one.frames + (not sent.missing),
                bytes=one.bytes + sent.size_bytes,
                archived=one.archived + sent.archived,
                missing=one.missing + sent.missing,
            )
        next_offset = waiting[0].offset if waiting else self._position[partition]
        one = replace(one, next_offset=next_offset)
        if one != before:
            self._progress[partition] = one
            self._changed.add(partition)
