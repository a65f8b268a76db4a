"""Who killed the process: what the death of one says about the records that it had in hand.

An end from outside (kill -9, the kernel, the machine) may meet any record, so one death only narrows down. A record is
blamed after it was in hand again, alone, while nothing else was worked on in its process:

- once, when that process crashed, hung, or ran out of memory: the record did it twice;
- twice, and in hand at three deaths in all, when it was ended from outside: by then it is no chance.
"""

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from schemas.errors import Code
from sightline.runtime.inhand import Held, Place

DEATHS_BY_CHANCE: Final = 3
ALONE_BY_CHANCE: Final = 2
# Signals that a process brings on itself. SIGABRT is what C and C++ libraries end with when they give up.
CRASHES: Final = frozenset({
    signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS
})  # fmt: skip


class Fate(Enum):
    """How a process came to its end; the value is what a record that caused it is called."""

    CRASHED = Code.PROCESS_KILLED
    KILLED = "from outside"
    HUNG = Code.PROCESS_HUNG
    MEMORY = Code.MEMORY_EXHAUSTED


@dataclass(frozen=True, slots=True)
class End:
    """One end of a process. `cause` names it for people: a signal's name, or what limit was passed."""

    fate: Fate
    cause: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A record that was in hand at `deaths` deaths, at `alone` of them alone. `code`: it is blamed for the last."""

    place: Place
    deaths: int
    alone: int
    cause: str = ""
    code: Code | None = None

    def died_alone(self, end: End) -> "Suspect":
        """Return it after one more death, with it alone in hand."""
        return _blamed(replace(self, deaths=self.deaths + 1, alone=self.alone + 1, cause=end.cause), end.fate)


# The supervisor is gone too, so nobody saw how it went.
UNSEEN: Final = End(Fate.KILLED, "the whole worker ended")


def end_of(status: int) -> End:
    """Say what a wait status of a process that nobody ended on purpose means."""
    code = status_code(status)
    if code >= 0:
        # A native library called exit(): Python's own ends say so beforehand.
        return End(Fate.CRASHED, f"exit {code}")
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return End(Fate.CRASHED if -code in CRASHES else Fate.KILLED, name)


def status_code(status: int) -> int:
    """Return the exit code, or minus the signal's number."""
    return status >> 8 if status & 0x7F == 0 else -(status & 0x7F)


def judge(known: Mapping[Place, Suspect], in_hand: Iterable[Held], end: End) -> dict[Place, Suspect]:
    """Return the suspects after a death: those known before, and what was in hand. See the module."""
    after = dict(known)
    for held in in_hand:
        if held.alone is not None:
            deaths, alone = held.alone
            after[held.places[0]] = Suspect(held.places[0], deaths, alone).died_alone(end)
            continue
        for place in held.places:
            before = after.get(place, Suspect(place, 0, 0))
            after[place] = replace(before, deaths=before.deaths + 1, cause=end.cause)
    return after


def _blamed(suspect: Suspect, fate: Fate) -> Suspect:
    if isinstance(fate.value, Code):
        return replace(suspect, code=fate.value)
    if suspect.deaths >= DEATHS_BY_CHANCE and suspect.alone >= ALONE_BY_CHANCE:
        return replace(suspect, code=Code.PROCESS_KILLED)
    return suspect
