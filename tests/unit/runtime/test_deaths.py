"""Whom a death incriminates."""

import signal

import pytest

from schemas.errors import Code
from sightline.runtime.deaths import CRASHES, UNSEEN, End, Fate, Suspect, end_of, judge
from sightline.runtime.inhand import Held, Place

A, B, C = (Place("frames.x", 0, offset, 1000 + offset) for offset in range(3))
CRASH, KILL = End(Fate.CRASHED, "SIGSEGV"), End(Fate.KILLED, "SIGKILL")
HUNG, MEMORY = End(Fate.HUNG, "longer than 60 s"), End(Fate.MEMORY, "more than 100 MB")


def _alone(suspect: Suspect) -> list[Held]:
    return [Held((suspect.place,), alone=(suspect.deaths, suspect.alone))]


@pytest.mark.parametrize("end", [CRASH, KILL, HUNG, MEMORY])
def test_a_batch_that_dies_makes_suspects_and_blames_nobody(end: End) -> None:
    suspects = judge({}, [Held((A, B)), Held((C,))], end)
    assert suspects == {place: Suspect(place, 1, 0, end.cause) for place in (A, B, C)}


def test_also_a_batch_of_one_is_not_blamed_at_once() -> None:
    assert judge({}, [Held((A,))], CRASH)[A].code is None


@pytest.mark.parametrize(
    ("end", "code"), [(CRASH, Code.PROCESS_KILLED), (HUNG, Code.PROCESS_HUNG), (MEMORY, Code.MEMORY_EXHAUSTED)]
)
def test_what_a_process_brings_on_itself_twice_is_blamed(end: End, code: Code) -> None:
    suspects = judge({}, [Held((A, B))], KILL)
    suspects = judge(suspects, _alone(suspects[A]), end)
    assert suspects[A] == Suspect(A, 2, 1, end.cause, code)
    assert suspects[B].code is None


def test_kills_from_outside_are_blamed_on_a_record_at_the_third_death_and_alone_at_two() -> None:
    suspects = judge({}, [Held((A, B))], KILL)
    for deaths, code in ((2, None), (3, Code.PROCESS_KILLED)):
        suspects = judge(suspects, _alone(suspects[A]), KILL)
        assert suspects[A] == Suspect(A, deaths, deaths - 1, "SIGKILL", code)


def test_three_kills_of_which_one_alone_blame_nobody() -> None:
    suspects: dict[Place, Suspect] = {}
    for _ in range(4):
        suspects = judge(suspects, [Held((A, B))], KILL)
    suspects = judge(suspects, _alone(suspects[A]), KILL)
    assert [suspect.code for suspect in suspects.values()] == [None, None]


def test_a_process_that_dies_idle_makes_no_suspects() -> None:
    assert judge({}, [], CRASH) == {}


def test_a_suspect_that_only_the_next_life_knew_of_is_judged_by_what_it_said() -> None:
    assert judge({}, [Held((A,), alone=(2, 1))], UNSEEN)[A].code is Code.PROCESS_KILLED


@pytest.mark.parametrize("number", sorted(CRASHES))
def test_signals_that_a_process_brings_on_itself(number: signal.Signals) -> None:
    core_dumped = 0x80
    assert end_of(number | core_dumped) == end_of(number) == End(Fate.CRASHED, number.name)


def test_other_ends() -> None:
    assert end_of(signal.SIGKILL) == KILL
    assert end_of(signal.SIGHUP) == End(Fate.KILLED, "SIGHUP")
    assert end_of(signal.SIGRTMIN + 3).cause == f"signal {signal.SIGRTMIN + 3}"
    assert end_of(3 << 8) == End(Fate.CRASHED, "exit 3")
