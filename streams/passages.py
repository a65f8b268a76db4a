"""Offsets that a group moves over what retention took: with exactly-once delivery they go with the report of it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import TopicPartition

from streams.outbox import Outbox, Parcel
from streams.publisher import Publishes
from streams.tracker import TrackedPartition, Tracker


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """The group goes on at `place` instead of `from_offset`; `parcels` say so."""

    tracked: TrackedPartition
    from_offset: int
    place: TopicPartition
    parcels: list[Parcel]

    @property
    def stands(self) -> bool:
        """Whether the partition is still held, and where it was; a topic that was made anew begins again anyway."""
        made_anew = self.place.offset < self.from_offset
        return self.tracked.held and (made_anew or self.tracked.position in {None, self.from_offset})

    @property
    def ready(self) -> bool:
        """Whether the offset may be moved: an answer to a record before it would move it back."""
        return self.stands and not self.tracked.records


class Passages:
    """Those that no transaction has committed yet; from any thread."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, int], Passage] = {}

    def add(self, from_offset: int, place: TopicPartition, report: Callable[[Publishes], None]) -> None:
        """Take one up, in the place of an earlier one of its partition; `report` is called at once with an outbox."""
        tracked = self._tracker.get(place.topic, place.partition)
        if tracked is None:
            return
        outbox = Outbox()
        parcels = outbox.collect(lambda: report(outbox))
        with self._lock:
            self._waiting[place.topic, place.partition] = Passage(tracked, from_offset, place, parcels)

    def ready(self) -> list[Passage]:
        """Return those that a transaction may commit; what does not stand any more is forgotten."""
        with self._lock:
            self._waiting = {key: passage for key, passage in self._waiting.items() if passage.stands}
            return [passage for passage in self._waiting.values() if passage.ready]

    def committed(self, passages: Sequence[Passage]) -> None:
        """Note that they are: their partitions are read on behind what is lost."""
        for passage in passages:
            passage.tracked.go_on_at(passage.place.offset)
        with self._lock:
            self._waiting = {key: passage for key, passage in self._waiting.items() if passage not in passages}
