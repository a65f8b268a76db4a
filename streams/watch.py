"""Work on records that may kill the process: what is in hand is known to the supervisor, and to whoever comes after.

Before records are begun, in this order:

1. a suspect waits until all before it in its partition is finished, so that its mark says so and no answer is repeated
   for its sake (half a minute at most: that may wait for something itself), and until nothing else is worked on in this
   process; all else waits for it;
2. the broker has a mark (`suspicion.py`) that covers them, and names a suspect;
3. the memory that the supervisor shares (`sightline.runtime.inhand`) lists them.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Protocol

from confluent_kafka import TopicPartition

from schemas.errors import Code, InputError, Stage
from sightline.runtime.deaths import Suspect
from sightline.runtime.inhand import MOST_TOGETHER, Place
from sightline.runtime.life import Life
from streams.patience import GivenBackError
from streams.suspicion import PartitionSuspicion, by_partition, parse_mark
from streams.tracker import Record, TrackedPartition

# After a single death that nobody saw, so many records are tried alone; more would hold up the stream after every kill.
_TRIED_ALONE_AT_FIRST: Final = 32
_SURELY: Final = 2
_EARLIER_S: Final = 30.0
# An empty group makes its first member wait for more, so we join while the dead one is still counted.
_JOIN_BEFORE_S: Final = 2.0
_REASONS: Final = {
    Code.PROCESS_HUNG: "its process, with nothing else to do, did not come to an end with it",
    Code.MEMORY_EXHAUSTED: "its process, with nothing else to do, ran over its memory limit",
    Code.PROCESS_KILLED: "its process, with nothing else to do, died",
}


class MarkWriter(Protocol):
    """Commits marks; `streams.commits.Committer` does."""

    def mark_now(self, partitions: Iterable[tuple[str, int]], wanted: Callable[[], bool]) -> bool:
        """Commit a mark for each partition that is held, and wait for the broker. Raises OutageError.

        None is made any more when the answer to an earlier one has come, and nothing is `wanted` after it. Returns
        False, maybe without a mark, once the partitions are on their way to somebody else.
        """
        ...


class Watches(Protocol):
    """What a handler asks of the watch."""

    def blamed(self, record: Record) -> InputError | None:
        """Return why a record must not be tried again, or None."""
        ...

    def over(self, records: Sequence[Record]) -> AbstractContextManager[None]:
        """Note that `records` are in hand while the block runs. May block; raises OutageError."""
        ...


class Unwatched:
    """Stands in where there is no supervisor."""

    def blamed(self, _: Record) -> InputError | None:
        """Blame nobody."""
        return None

    def over(self, _: Sequence[Record]) -> AbstractContextManager[None]:
        """Run the block."""
        return nullcontext()


class Watch:
    """All partitions of one process. `session_s` is how long a group waits for a member that died."""

    def __init__(self, life: Life, session_s: float) -> None:
        self._life = life
        self._session_s = session_s
        self._seen = by_partition(life.suspects)
        self._lock = threading.Condition()
        self._partitions: dict[tuple[str, int], PartitionSuspicion] = {}
        self._writers: dict[tuple[str, int], MarkWriter] = {}
        self._alone: set[Place] = set()
        self._tries_left = _TRIED_ALONE_AT_FIRST
        self._working = 0
        self._one_alone = False
        self._waiting_alone = 0

    # -- for the polling thread ---------------------------------------------------------------------------

    def join_in_s(self, now_s: float) -> float:
        """Return how long to wait before joining a group, at `now_s` of the monotonic clock.

        A group cannot go on without its dead member before that one's session is over. Until then the others work; with
        a new member they would stand still and wait as well.
        """
        if self._life.died_at_s is None:
            return 0.0
        return max(self._life.died_at_s + self._session_s - _JOIN_BEFORE_S - now_s, 0.0)

    def assigned(self, places: Iterable[TopicPartition], writer: MarkWriter) -> None:
        """Take over partitions, with the texts beside their committed offsets."""
        with self._lock:
            for place in places:
                key = (place.topic, place.partition)
                mark = parse_mark(place.metadata, *key)
                seen = self._seen.get(key, ())
                self._partitions[key] = PartitionSuspicion(mark, seen, self._life.name, self._life.family)
                self._writers[key] = writer

    def dropped(self, topic: str, partition: int) -> None:
        """Give a partition up."""
        with self._lock:
            self._partitions.pop((topic, partition), None)
            self._alone = {place for place in self._alone if place[:2] != (topic, partition)}

    def split(self, records: Sequence[Record]) -> list[list[Record]]:
        """Cut a batch into batches, in order: a suspect stands alone."""
        batches: list[list[Record]] = [[]]
        with self._lock:
            for record in records:
                place = _place(record)
                if self._is_suspect(place):
                    self._alone.add(place)
                    batches += [[record], []]
                elif len(batches[-1]) < MOST_TOGETHER:
                    batches[-1].append(record)
                else:
                    batches.append([record])
        return [batch for batch in batches if batch]

    def uncovered(self, records: Sequence[Record]) -> frozenset[tuple[str, int]]:
        """Return the partitions of `records` of which the broker has no mark that covers them."""
        with self._lock:
            return frozenset(
                (record.topic, record.partition)
                for record in records
                if (partition := self._partitions.get((record.topic, record.partition))) is not None
                and not partition.covers(record.offset)
            )

    def wants_mark(self, tracked: TrackedPartition) -> bool:
        """Tell whether a partition's mark should be committed although no offset moved."""
        with self._lock:
            partition = self._partitions.get((tracked.topic, tracked.partition))
            return partition is not None and tracked.position is not None and partition.wants_mark(tracked.position)

    def text(self, topic: str, partition: int, offset: int, position: int, *, leaving: bool) -> str:
        """Return what stands beside an offset that is committed; `leaving`: the partition is given up with it."""
        with self._lock:
            suspicion = self._partitions.get((topic, partition))
            if suspicion is None:
                return ""
            return suspicion.last_mark(offset) if leaving else suspicion.mark(offset, position).text()

    def acknowledged(self, places: Iterable[TopicPartition]) -> None:
        """Note what the broker has."""
        with self._lock:
            for place in places:
                suspicion = self._partitions.get((place.topic, place.partition))
                mark = parse_mark(place.metadata, place.topic, place.partition)
                if suspicion is not None and mark is not None and not mark.left:
                    suspicion.acknowledged(mark)

    # -- for the work threads -----------------------------------------------------------------------------

    def blamed(self, record: Record) -> InputError | None:
        """Return why a record must not be tried again, or None."""
        place = _place(record)
        with self._lock:
            partition = self._partitions.get(place[:2])
            suspect = None if partition is None else partition.suspects.get(place)
        if suspect is None or suspect.code is None:
            return None
        reason = (
            f"{_REASONS[suspect.code]} ({suspect.cause}); in hand at {suspect.deaths} deaths, {suspect.alone} alone"
        )
        return InputError(suspect.code, Stage.PROCESS, reason)

    @contextmanager
    def over(self, records: Sequence[Record]) -> Iterator[None]:
        """Note that `records` are in hand while the block runs; see the module.

        Raises OutageError; GivenBackError where a suspect's partition went to somebody else before it was begun.
        """
        places = [_place(record) for record in records]
        with self._lock:
            alone = len(places) == 1 and places[0] in self._alone
        if alone:
            records[0].wait_for_earlier(_EARLIER_S)
        with self._turn(alone=alone):
            suspect = self._marked(records, places, alone=alone)
            slot = self._life.in_hand.put(places, None if suspect is None else (suspect.deaths, suspect.alone))
            done = False
            try:
                yield
                done = True
            finally:
                self._life.in_hand.clear(slot)
                if suspect is not None:
                    self._end_alone(suspect.place, cleared=done)
            if suspect is not None:
                # The mark names it no more: who is killed while its answer is delivered is not killed by it.
                self._marked([], [], alone=False)

    @contextmanager
    def _turn(self, *, alone: bool) -> Iterator[None]:
        """Let one in alone, or any number of others together."""
        with self._lock:
            self._waiting_alone += alone
            self._lock.wait_for(lambda: not self._one_alone and not (self._working if alone else self._waiting_alone))
            self._waiting_alone -= alone
            self._one_alone = alone
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._one_alone = False
                self._working -= 1
                self._lock.notify_all()

    def _marked(self, records: Sequence[Record], places: Sequence[Place], *, alone: bool) -> Suspect | None:
        """See that the broker has the marks; return the suspect, if that is what is begun."""
        suspect: Suspect | None = None
        with self._lock:
            wanting = self._wanting(places, alone=alone)
            partition = self._partitions.get(places[0][:2]) if alone else None
            if partition is not None:
                suspect = partition.begin_alone(places[0])

        def wanted() -> bool:
            with self._lock:
                return suspect is not None or bool(self._wanting(places, alone=alone))

        try:
            marked = self._have_marked(wanting, wanted)
            if alone:
                _see_ours(records[0], marked=marked)
        except BaseException:
            if suspect is not None:
                self._end_alone(suspect.place, cleared=False)
            raise
        return suspect

    def _have_marked(self, wanting: set[tuple[str, int]], wanted: Callable[[], bool]) -> bool:
        writers = {self._writers[key] for key in wanting}
        return all(
            writer.mark_now([key for key in wanting if self._writers[key] is writer], wanted) for writer in writers
        )

    def _wanting(self, places: Iterable[Place], *, alone: bool) -> set[tuple[str, int]]:
        """Return the partitions that need a mark before `places` are begun."""
        found = [(place, self._partitions.get(place[:2])) for place in places]
        wanting = {
            place[:2]
            for place, partition in found
            if partition is not None and (alone or not partition.covers(place.offset))
        }
        return wanting | {key for key, partition in self._partitions.items() if partition.names_another()}

    def _end_alone(self, place: Place, *, cleared: bool) -> None:
        with self._lock:
            partition = self._partitions.get(place[:2])
            if partition is not None:
                partition.end_alone(place, cleared=cleared)
            if cleared:
                self._alone.discard(place)

    def _is_suspect(self, place: Place) -> bool:
        partition = self._partitions.get(place[:2])
        deaths = 0 if partition is None else partition.deaths(place)
        if partition is None or deaths == 0:
            return False
        if deaths >= _SURELY or place in partition.suspects:
            return True
        self._tries_left -= 1
        return self._tries_left >= 0


def _see_ours(suspect: Record, *, marked: bool) -> None:
    """Leave a suspect that the broker has no mark of to the next owner of its partition. Raises GivenBackError."""
    if not marked:
        suspect.wait_until_given_back()  # what comes behind it waits as well: nothing may overtake it
    if not suspect.held:
        raise GivenBackError


def _place(record: Record) -> Place:
    return Place(record.topic, record.partition, record.offset, record.timestamp_ms)
