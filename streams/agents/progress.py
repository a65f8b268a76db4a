"""How far all partitions have been read: up to which moment everything that there is has been seen."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

Place = tuple[str, int]  # topic, partition


@dataclass(slots=True)
class Progress:
    """Positions (the next offset wanted) of every partition, against the ends that the broker told at a moment.

    A partition that is read to such an end is known up to the moment of asking; one that is not, up to its last
    record. Where only transaction markers are left before the end, whoever reads says so by `read_on`; should a record
    come after all, it is taken: it may have waited for its agent.
    """

    positions: dict[Place, int]
    _asked_ms: int | None = None
    _ends: Mapping[Place, int] = field(default_factory=dict)
    _last_ms: dict[Place, int] = field(default_factory=dict)
    _taken: dict[Place, int] = field(init=False)  # behind the last record that was seen

    def __post_init__(self) -> None:
        self._taken = dict(self.positions)

    def wants(self, place: Place, offset: int) -> bool:
        """Tell whether a record was not seen yet, and its partition is expected."""
        return offset >= self._taken.get(place, offset + 1)

    def take(self, place: Place, offset: int, at_ms: int) -> bool:
        """Note a record; False for one that was seen already, or of a partition that is not expected."""
        if not self.wants(place, offset):
            return False
        self._taken[place] = offset + 1
        self.read_on(place, offset + 1)
        self._last_ms[place] = max(at_ms, self._last_ms.get(place, 0))
        return True

    def read_on(self, place: Place, position: int) -> None:
        """Note that no record lies before `position`; a partition that is not expected is left alone."""
        if place in self.positions:
            self.positions[place] = max(position, self.positions[place])

    def ask(self, asked_ms: int, ends: Mapping[Place, int]) -> None:
        """Note the ends of all partitions, asked for at a moment. An answer counts until the next one."""
        self._asked_ms, self._ends = asked_ms, ends

    def behind(self) -> AbstractSet[Place]:
        """Return the partitions that are not read to the end last told."""
        return {place for place, end in self._ends.items() if self.positions.get(place, 0) < end}

    def known_to_ms(self) -> int | None:
        """Return the moment before which every record has been seen; None: not known for some partition."""
        if self._asked_ms is None:
            return None
        moments = [self._asked_ms]
        for place in self.behind():
            if place not in self._last_ms:
                return None
            moments.append(self._last_ms[place])
        return min(moments)
