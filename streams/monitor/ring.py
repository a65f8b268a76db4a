"""Counts and sums over a sliding span of time, in a fixed number of slots: memory does not grow with traffic."""

from array import array


class Ring:
    """What happened in the last `span_ms`, in slots of equal length. Times are milliseconds since 1970.

    Slots begin at whole multiples of their length, whenever the process started. A span that ends inside a slot
    therefore reaches back to up to one slot less than `span_ms`.
    """

    __slots__ = ("_counts", "_head", "_slots", "_sums", "slot_ms")

    def __init__(self, span_ms: int, slots: int) -> None:
        self.slot_ms = max(span_ms // slots, 1)
        self._slots = slots
        self._counts = array("I", bytes(4 * slots))
        self._sums: array[float] | None = None  # most rings only count
        self._head = 0

    def add(self, at_ms: int, value: float = 0.0) -> None:
        """Count one event; what is older than the span is left out."""
        slot = at_ms // self.slot_ms
        if slot > self._head:
            self._advance(slot)
        if slot <= self._head - self._slots:
            return
        place = slot % self._slots
        self._counts[place] += 1
        if value:
            if self._sums is None:
                self._sums = array("d", bytes(8 * self._slots))
            self._sums[place] += value

    def total(self, now_ms: int, first: int = 0, last: int | None = None) -> tuple[int, float]:
        """Return count and sum of slots `first` to `last` (not included) back from the one before `now_ms`."""
        count, sum_ = 0, 0.0
        for place in self._places(now_ms, first, self._slots if last is None else last):
            count += self._counts[place]
            sum_ += 0.0 if self._sums is None else self._sums[place]
        return count, sum_

    def count(self, now_ms: int) -> int:
        """Return how many events the span before `now_ms` holds."""
        return self.total(now_ms)[0]

    def spread(self, now_ms: int) -> int:
        """Return how many slots there are from the first event in the span to the last, both included; 0: none."""
        back = [number for number, place in enumerate(self._places(now_ms, 0, self._slots)) if self._counts[place]]
        return back[-1] + 1 if back else 0

    def _advance(self, slot: int) -> None:
        for stale in range(max(self._head + 1, slot - self._slots + 1), slot + 1):
            self._counts[stale % self._slots] = 0
            if self._sums is not None:
                self._sums[stale % self._slots] = 0.0
        self._head = slot

    def _places(self, now_ms: int, first: int, last: int) -> list[int]:
        """Return where those slots lie that are not in the future and not overwritten, newest first."""
        now = (now_ms - 1) // self.slot_ms
        newest = min(now - first, self._head)
        oldest = max(now - last + 1, self._head - self._slots + 1)
        return [slot % self._slots for slot in range(newest, oldest - 1, -1)]
