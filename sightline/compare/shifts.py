"""How far numbers moved: running figures in bounded memory."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Means:
    """Count, sum and ends of what was added."""

    count: int = 0
    total: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0

    def add(self, shift: float) -> None:
        """Count one shift."""
        self.lowest = min(self.lowest, shift) if self.count else shift
        self.highest = max(self.highest, shift) if self.count else shift
        self.count += 1
        self.total += shift

    @property
    def mean(self) -> float:
        """Return the mean, 0 of nothing."""
        return self.total / self.count if self.count else 0.0


class Shifts:
    """A distribution, exact to so many decimals: as many numbers are kept as there are different shifts.

    Scores from 0 to 100 with one decimal make 2,001 of them at most, confidences with four make 20,001.
    """

    def __init__(self, decimals: int) -> None:
        self.decimals = decimals
        self.counts: Counter[float] = Counter()
        self.means = Means()
        self.fall: tuple[float, str] | None = None
        self.rise: tuple[float, str] | None = None

    def add(self, shift: float, frame_id: str) -> None:
        """Count one shift, and remember the frame when none fell or rose further."""
        shift = round(shift, self.decimals) + 0.0  # -0.0 is no number of its own
        self.counts[shift] += 1
        self.means.add(shift)
        if shift < 0 and (self.fall is None or (shift, frame_id) < self.fall):
            self.fall = shift, frame_id
        if shift > 0 and (self.rise is None or (-shift, frame_id) < (-self.rise[0], self.rise[1])):
            self.rise = shift, frame_id

    @property
    def moved(self) -> int:
        """Return how many are not 0."""
        return self.means.count - self.counts[0.0]

    def at_share(self, share: float) -> float:
        """Return the size of shift that this share of all does not go beyond, by nearest rank; 0 of nothing."""
        sizes: Counter[float] = Counter()
        for shift, count in self.counts.items():
            sizes[abs(shift)] += count
        needed = share * self.means.count
        reached = 0
        for size in sorted(sizes):
            reached += sizes[size]
            if reached >= needed:
                return size
        return 0.0

    def bars(self, bins: int) -> Iterator[tuple[float, float, int]]:
        """Yield an odd number of bars (from, to, count) over the whole range, the middle one round 0."""
        width = 2 * max((abs(shift) for shift in self.counts), default=0.0) / (bins - 1) or 10.0**-self.decimals
        counts: Counter[int] = Counter()
        for shift, count in self.counts.items():
            counts[round(shift / width)] += count
        half = bins // 2
        for place in range(-half, half + 1):
            yield (place - 0.5) * width, (place + 0.5) * width, counts[place]
