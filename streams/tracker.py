"""Which offsets may be committed: the lowest unfinished one of each partition, under the present assignment.

A record belongs to the assignment in which it was fetched. Once that assignment is over, finishing the record
moves nothing: the broker would accept a commit for a partition that somebody else owns by now.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from schemas.headers import Headers


class Record:
    """One consumed record, until everything that it gives rise to is acknowledged."""

    __slots__ = ("_finished", "_partition", "headers", "key", "offset", "size_bytes", "timestamp_ms", "value")

    def __init__(
        self,
        partition: "TrackedPartition",
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        size_bytes: int,
    ) -> None:
        self._partition = partition
        self.offset = offset
        self.timestamp_ms = timestamp_ms
        self.key = key
        self.value = value
        self.headers = headers  # None: their names are not UTF-8
        self.size_bytes = size_bytes
        self._finished = False

    @property
    def topic(self) -> str:
        """The topic that the record was read from."""
        return self._partition.topic

    @property
    def partition(self) -> int:
        """The partition that the record was read from."""
        return self._partition.partition

    @property
    def held(self) -> bool:
        """Whether the assignment under which the record was fetched still stands."""
        return self._partition.held

    @property
    def newer(self) -> int:
        """How many offsets were seen behind this one in its partition; markers of transactions are among them."""
        return max(self._partition.log_end - self.offset - 1, 0)

    def wait_for_earlier(self, timeout_s: float) -> None:
        """Block until all read before it from its partition is finished, its assignment is over, or the time is."""
        self._partition.wait_for_earlier(self.offset, timeout_s)

    def wait_until_given_back(self) -> None:
        """Block until its assignment is over."""
        self._partition.wait_until_given_back()

    def finish(self) -> None:
        """State that all the record gives rise to is acknowledged; from any thread. A second time changes nothing."""
        if not self._finished:
            self._finished = True
            self._partition.finish(self.offset, self.size_bytes)


class TrackedPartition:
    """The unfinished offsets of one partition, in order, under one assignment."""

    __slots__ = (
        "_committed",
        "_done",
        "_tracker",
        "_unfinished",
        "behind_since",
        "held",
        "last_ms",
        "log_end",
        "partition",
        "position",
        "records",
        "size_bytes",
        "topic",
    )

    def __init__(self, tracker: "Tracker", topic: str, partition: int) -> None:
        self._tracker = tracker
        self.topic = topic
        self.partition = partition
        self.held = True
        self.position: int | None = None  # the next offset to read
        self.last_ms: int | None = None  # append time of the last record read
        self.log_end = 0  # as the last fetch saw it
        self.behind_since: float | None = None  # when more was first seen in the log than was read; `lag.py` keeps it
        self.records = 0
        self.size_bytes = 0
        self._unfinished: deque[tuple[int, int]] = deque()  # offset, append time
        self._done: set[int] = set()
        self._committed: int | None = None

    def take(
        self,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        size_bytes: int,
    ) -> Record:
        """Begin to answer for a record that counts for `size_bytes` against the bound on memory."""
        record = Record(self, offset, timestamp_ms, key, value, headers, size_bytes)
        with self._tracker.changed:
            self._unfinished.append((offset, timestamp_ms))
            self.position = offset + 1
            self.last_ms = timestamp_ms
            self.records += 1
            self.size_bytes += record.size_bytes
        return record

    def finish(self, offset: int, size_bytes: int) -> None:
        """Mark one offset; what was fetched under an assignment that is over counts for nothing."""
        with self._tracker.changed:
            if not self.held:
                return
            self._done.add(offset)
            while self._unfinished and self._unfinished[0][0] in self._done:
                self._done.remove(self._unfinished.popleft()[0])
            self.records -= 1
            self.size_bytes -= size_bytes
            self._tracker.on_finished(self.topic)
            self._tracker.changed.notify_all()

    def wait_for_earlier(self, offset: int, timeout_s: float) -> None:
        """Block until everything before `offset` is finished, the assignment is over, or the time is."""
        with self._tracker.changed:
            self._tracker.changed.wait_for(lambda: not self.held or (self.safe_offset() or 0) >= offset, timeout_s)

    def wait_until_given_back(self) -> None:
        """Block until the assignment is over."""
        with self._tracker.changed:
            self._tracker.changed.wait_for(lambda: not self.held)

    def committable(self) -> int | None:
        """Return the offset to commit, or None when there is nothing new."""
        offset = self.safe_offset()
        return None if offset is None or offset == self._committed else offset

    def safe_offset(self) -> int | None:
        """Return the lowest unfinished offset, or None when nothing has been read."""
        return self._unfinished[0][0] if self._unfinished else self.position

    def mark_committed(self, offset: int | None) -> None:
        """Remember what was handed to the broker; None forgets it, so that it is tried again."""
        self._committed = offset

    def reach(self, offset: int) -> None:
        """Note that reading has come to `offset` without a record: transaction markers take offsets too."""
        if self.position is None or offset > self.position:
            self.position = offset

    def go_on_at(self, offset: int) -> None:
        """Note that the group's offset is `offset` now, with nothing in hand: what lay before it is lost."""
        with self._tracker.changed:
            self.position = self._committed = offset

    def oldest_unread_ms(self, *, behind: bool) -> int | None:
        """Return the append time of the oldest record not finished; `behind`: more waits in the log."""
        if self._unfinished:
            return self._unfinished[0][1]
        return self.last_ms if behind else None


class Tracker:
    """All partitions of one consumer. `changed` is notified whenever a record finishes or is given back.

    `on_finished` is called with the topic of each record that finishes.
    """

    def __init__(self, on_finished: Callable[[str], None]) -> None:
        self.changed = threading.Condition()
        self.on_finished = on_finished
        self._partitions: dict[tuple[str, int], TrackedPartition] = {}

    @property
    def records(self) -> int:
        """Records taken and neither finished nor given back."""
        return sum(partition.records for partition in self.held())

    @property
    def size_bytes(self) -> int:
        """What they count for together against the bound on memory."""
        return sum(partition.size_bytes for partition in self.held())

    def assign(self, topic: str, partition: int) -> TrackedPartition:
        """Begin an assignment of a partition."""
        with self.changed:
            tracked = self._partitions[topic, partition] = TrackedPartition(self, topic, partition)
            return tracked

    def revoke(self, topic: str, partition: int) -> int:
        """End the assignment of a partition; return how many records in hand are given back with it."""
        with self.changed:
            tracked = self._partitions.pop((topic, partition), None)
            if tracked is None:
                return 0
            tracked.held = False
            self.changed.notify_all()
            return tracked.records

    def get(self, topic: str, partition: int) -> TrackedPartition | None:
        """Return a partition that is held."""
        return self._partitions.get((topic, partition))

    def held(self) -> list[TrackedPartition]:
        """List the partitions that are held."""
        return list(self._partitions.values())

    def wait_until_left(self, timeout_s: float, gathering: Sequence[Record], give_up: Callable[[], bool]) -> None:
        """Block until only `gathering` (nobody works on it yet) is in hand, `give_up` says so, or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.records <= len(gathering) or give_up(), timeout_s)

    def wait_unless_given_back(self, records: Sequence[Record | TrackedPartition], timeout_s: float) -> None:
        """Block for `timeout_s`, or until none of `records` is held any more."""
        with self.changed:
            self.changed.wait_for(lambda: not any(record.held for record in records), timeout_s)
