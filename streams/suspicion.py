"""What the committed offsets say of deaths: suspicion that survives worker, supervisor and machine.

Kafka keeps a text beside each committed offset. Ours says how far records may be in hand (`upto`). So whoever takes
over a partition knows that the one before died (nobody took the mark away), and that what killed it, if a record did,
lies from the committed offset up to there. A record that is tried alone is named before it is begun.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import Code
from sightline.runtime.deaths import UNSEEN, Suspect
from sightline.runtime.inhand import Place

_VERSION: Final = 1
# Kafka allows 4,096 bytes; a suspect takes less than 80.
_MOST_KEPT: Final = 32
# How many records a partition may take beyond what is marked, before another mark has to be made.
_LEAST_AHEAD: Final = 4


@dataclass(frozen=True, slots=True)
class Mark:
    """The text beside a committed offset. `by` names the life of a process that made it.

    `left`: it was given up in peace. Records below `until` were possibly in hand at `deaths` deaths. `kept` are those
    of which more is known, and `alone` is the offset of the one that was in hand alone.
    """

    by: str
    upto: int
    left: bool = False
    until: int = 0
    deaths: int = 0
    kept: tuple[Suspect, ...] = ()
    alone: int | None = None

    def text(self) -> str:
        """Return it as it is committed."""
        body: dict[str, Any] = {"v": _VERSION, "by": self.by, "upto": self.upto}
        if self.left:
            body["left"] = 1
        if self.deaths:
            body["was"] = [self.until, self.deaths]
        if self.kept:
            body["kept"] = [_listed(suspect) for suspect in self.kept]
        if self.alone is not None:
            body["alone"] = self.alone
        return json.dumps(body, separators=(",", ":"))


def parse_mark(text: str | None, topic: str, partition: int) -> Mark | None:
    """Read what `Mark.text` wrote; None for anything else, such as what another tool committed."""
    try:
        body = json.loads(text or "")
        if body["v"] != _VERSION:
            return None
        until, deaths = body.get("was", (0, 0))
        kept = tuple(_suspect(listed, topic, partition) for listed in body.get("kept", ()))
        return Mark(body["by"], body["upto"], bool(body.get("left")), until, deaths, kept, body.get("alone"))
    except (ValueError, KeyError, TypeError):
        return None


def _listed(suspect: Suspect) -> list[Any]:
    place = suspect.place
    listed = [place.offset, place.timestamp_ms, suspect.deaths, suspect.alone, suspect.cause]
    return listed if suspect.code is None else [*listed, suspect.code.value]


def _suspect(listed: Sequence[Any], topic: str, partition: int) -> Suspect:
    offset, timestamp_ms, deaths, alone, cause, *code = listed
    place = Place(topic, partition, int(offset), int(timestamp_ms))
    return Suspect(place, int(deaths), int(alone), str(cause), Code(code[0]) if code else None)


class PartitionSuspicion:
    """One partition under one assignment. Not safe for several threads: `streams.watch` holds a lock.

    `seen` are the suspects that our supervisor knows of, from lives of our `family`; of others the mark alone tells.
    """

    def __init__(self, mark: Mark | None, seen: Iterable[Suspect], name: str, family: str) -> None:
        self._name = name
        self.suspects: dict[Place, Suspect] = {}
        self._until = self._deaths = 0
        self._alone: Place | None = None
        self._upto = self._marked = 0
        self._position: int | None = None
        self._last: Mark | None = None  # made last
        self._named: int | None = None  # the offset that the broker's mark may name as alone in hand
        if mark is not None:
            self._inherit(mark, died=not mark.left and mark.by.partition(".")[0] != family)
        for suspect in seen:
            before = self.suspects.get(suspect.place)
            if before is None or before.deaths <= suspect.deaths:
                self.suspects[suspect.place] = suspect

    def _inherit(self, mark: Mark, *, died: bool) -> None:
        self._until, self._deaths = mark.until, mark.deaths
        self.suspects = {suspect.place: suspect for suspect in mark.kept}
        if not died:
            return
        alone = [suspect for suspect in mark.kept if suspect.place.offset == mark.alone]
        if alone:
            self.suspects[alone[0].place] = alone[0].died_alone(UNSEEN)
        elif self._deaths:
            self._deaths += 1
        else:
            self._until, self._deaths = mark.upto, 1

    def deaths(self, place: Place) -> int:
        """Return at how many deaths a record may have been in hand."""
        known = self.suspects.get(place)
        if known is not None:
            return known.deaths
        return self._deaths if place.offset < self._until else 0

    def begin_alone(self, place: Place) -> Suspect:
        """Note that a suspect is about to be in hand alone; the next mark says so."""
        suspect = self.suspects.setdefault(place, Suspect(place, self.deaths(place), 0))
        self._alone = place
        return suspect

    def end_alone(self, place: Place, *, cleared: bool) -> None:
        """Note that it is no longer in hand; `cleared`: it did no harm."""
        self._alone = None
        if cleared:
            self.suspects.pop(place, None)

    def covers(self, offset: int) -> bool:
        """Tell whether a mark that the broker has says that `offset` may be in hand."""
        return offset < self._marked

    def wants_mark(self, position: int) -> bool:
        """Tell whether a mark is due although no offset moved."""
        return self.names_another() or position >= self._marked

    def names_another(self) -> bool:
        """Tell whether the broker may have a record as alone in hand that is not: it would be held to account."""
        return self._named is not None and (self._alone is None or self._alone.offset != self._named)

    def mark(self, offset: int, position: int) -> Mark:
        """Return the mark to commit with `offset`, while `position` is read next."""
        # As many again as came since the last mark: then the next one comes in time.
        ahead = max(_LEAST_AHEAD, position - (position if self._position is None else self._position))
        self._position = position
        # It only grows: a mark that says less might arrive while work relies on the one before.
        self._upto = max(self._upto, position + ahead)
        self._last = self._made(offset, self._upto, left=False)
        self._named = self._named if self._last.alone is None else self._last.alone
        return self._last

    def last_mark(self, offset: int) -> str:
        """Return the text to commit when the partition is given up in peace: empty when nothing is suspected."""
        mark = self._made(offset, offset, left=True)
        return mark.text() if mark.kept or mark.deaths else ""

    def acknowledged(self, mark: Mark) -> None:
        """Note that the broker has a mark."""
        self._marked = max(self._marked, mark.upto)
        if mark == self._last:
            self._named = mark.alone

    def _made(self, offset: int, upto: int, *, left: bool) -> Mark:
        self.suspects = {place: suspect for place, suspect in self.suspects.items() if place.offset >= offset}
        ranked = sorted(self.suspects.values(), key=lambda one: (one.place == self._alone, one.deaths), reverse=True)
        until, deaths = (self._until, self._deaths) if offset < self._until else (0, 0)
        alone = None if self._alone is None or left else self._alone.offset
        return Mark(self._name, upto, left, until, deaths, tuple(ranked[:_MOST_KEPT]), alone)


def by_partition(suspects: Iterable[Suspect]) -> Mapping[tuple[str, int], list[Suspect]]:
    """Sort suspects by topic and partition."""
    found: dict[tuple[str, int], list[Suspect]] = {}
    for suspect in suspects:
        found.setdefault((suspect.place.topic, suspect.place.partition), []).append(suspect)
    return found
