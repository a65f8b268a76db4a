"""What the texts beside committed offsets say, and what whoever takes over makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Code
from sightline.runtime.deaths import Suspect
from sightline.runtime.inhand import Place
from streams.suspicion import Mark, PartitionSuspicion, by_partition, parse_mark

TOPIC, PARTITION = "frames.x", 3


def _place(offset: int) -> Place:
    return Place(TOPIC, PARTITION, offset, 1_700_000_000_000 + offset)


def _after(mark: Mark | None, *seen: Suspect, name: str = "bb.0") -> PartitionSuspicion:
    """Take over after `mark`, as another worker unless told."""
    text = None if mark is None else mark.text()
    return PartitionSuspicion(parse_mark(text, TOPIC, PARTITION), seen, name, name.partition(".")[0])


places = st.integers(0, 2**62).map(_place)
suspects = st.builds(Suspect, places, st.integers(1, 99), st.integers(0, 99), st.text(max_size=40),
                     st.none() | st.sampled_from(Code))  # fmt: skip


@given(
    mark=st.builds(
        Mark,
        st.text(max_size=20),
        st.integers(0, 2**62),
        st.booleans(),
        st.integers(1, 2**62),
        st.integers(1, 99),
        st.lists(suspects, max_size=5).map(tuple),
        st.none() | st.integers(0, 2**62),
    )
)
def test_a_mark_reads_as_it_was_written(mark: Mark) -> None:
    assert parse_mark(mark.text(), TOPIC, PARTITION) == mark


@pytest.mark.parametrize(
    "text",
    [None, "", "left by another tool", "[]", "7", "{}", '{"v":2,"by":"a","upto":1}', '{"v":1}',
     '{"v":1,"by":"a","upto":1,"kept":[[1]]}', '{"v":1,"by":"a","upto":1,"kept":[[1,2,3,4,"",  "no_code"]]}'],
)  # fmt: skip
def test_other_texts_say_nothing(text: str | None) -> None:
    assert parse_mark(text, TOPIC, PARTITION) is None


def test_without_a_mark_nobody_is_suspected() -> None:
    assert _after(None).deaths(_place(0)) == 0


def test_what_a_dead_worker_may_have_had_in_hand_is_suspected_once() -> None:
    mark = _after(None, name="aa.0").mark(10, 30)
    assert mark.upto >= 34
    suspicion = _after(mark)
    assert [suspicion.deaths(_place(offset)) for offset in (10, 33, mark.upto)] == [1, 1, 0]


def test_a_second_death_on_the_same_offsets_counts() -> None:
    first = _after(None, name="aa.0").mark(10, 30)
    second = _after(_after(first).mark(12, 40), name="cc.0")
    assert second.deaths(_place(12)) == 2
    assert second.deaths(_place(first.upto)) == 0


def test_suspicion_of_a_range_ends_where_work_has_gone_past_it() -> None:
    first = _after(None, name="aa.0").mark(10, 30)
    later = _after(first).mark(first.upto, first.upto)
    assert later.deaths == 0
    assert _after(later, name="cc.0").deaths(_place(first.upto)) == 1


def test_one_that_is_given_up_in_peace_leaves_nothing() -> None:
    suspicion = _after(None, name="aa.0")
    suspicion.mark(10, 30)
    assert suspicion.last_mark(30) == ""


def test_suspicion_is_handed_on_in_peace_as_it_is() -> None:
    suspicion = _after(_after(None, name="aa.0").mark(10, 30))
    handed = parse_mark(suspicion.last_mark(12), TOPIC, PARTITION)
    assert handed is not None
    assert _after(handed, name="cc.0").deaths(_place(12)) == 1


def test_a_death_alone_in_hand_counts_for_that_record_only() -> None:
    suspicion = _after(_after(None, name="aa.0").mark(10, 30))
    suspicion.begin_alone(_place(11))
    after = _after(suspicion.mark(10, 30), name="cc.0")
    assert after.suspects[_place(11)].deaths == 2
    assert after.suspects[_place(11)].alone == 1
    assert after.deaths(_place(12)) == 1


def test_a_record_that_takes_everything_along_is_blamed_at_the_third_death_by_whoever_comes() -> None:
    mark = _after(None, name="a0.0").mark(10, 30)
    for death in (1, 2):
        suspicion = _after(mark, name=f"b{death}.0")
        assert suspicion.suspects.get(_place(11), Suspect(_place(11), 0, 0)).code is None
        suspicion.begin_alone(_place(11))
        mark = suspicion.mark(10, 30)
    blamed = _after(mark, name="c0.0").suspects[_place(11)]
    assert (blamed.code, blamed.deaths, blamed.alone) == (Code.PROCESS_KILLED, 3, 2)


def test_a_record_that_did_no_harm_is_cleared() -> None:
    suspicion = _after(_after(None, name="aa.0").mark(10, 30))
    suspicion.begin_alone(_place(11))
    suspicion.acknowledged(suspicion.mark(10, 30))
    suspicion.end_alone(_place(11), cleared=True)
    assert suspicion.wants_mark(30)
    mark = suspicion.mark(10, 30)
    assert (mark.kept, mark.alone) == ((), None)
    suspicion.acknowledged(mark)
    assert not suspicion.wants_mark(30)


def test_of_a_life_of_our_own_the_supervisor_knows_better() -> None:
    mark = _after(None, name="aa.0").mark(10, 30)
    seen = Suspect(_place(11), 2, 1, "SIGSEGV", Code.PROCESS_KILLED)
    suspicion = _after(mark, seen, name="aa.1")
    assert suspicion.deaths(_place(10)) == 0
    assert suspicion.suspects == {_place(11): seen}


def test_what_our_supervisor_saw_is_passed_on_by_kafka() -> None:
    seen = Suspect(_place(11), 2, 1, "SIGSEGV", Code.PROCESS_KILLED)
    mark = _after(None, seen, name="aa.1").mark(10, 10)
    assert _after(mark).suspects == {_place(11): seen}


def test_of_many_suspects_the_gravest_fit_into_what_kafka_keeps() -> None:
    seen = [Suspect(_place(10**15 + n), 1 + n, n, "longer than 60 s at one batch") for n in range(200)]
    suspicion = _after(None, *seen, name="aaaaaaaa.1234")
    suspicion.begin_alone(_place(10**15))
    mark = suspicion.mark(10**15, 10**15)
    assert mark.kept[0].place == _place(10**15)
    assert {suspect.deaths for suspect in mark.kept[1:]} == set(range(200, 200 - len(mark.kept) + 1, -1))
    assert len(mark.text()) < 4096


def test_a_mark_covers_what_the_broker_has_and_is_due_before_that_is_used_up() -> None:
    suspicion = _after(None)
    first = suspicion.mark(10, 10)
    assert not suspicion.covers(10)
    suspicion.acknowledged(first)
    assert suspicion.covers(first.upto - 1)
    assert not suspicion.covers(first.upto)
    assert not suspicion.wants_mark(10)
    assert suspicion.wants_mark(first.upto)


def test_marks_reach_as_far_ahead_as_records_came_since_the_last_and_never_less_far() -> None:
    suspicion = _after(None)
    assert suspicion.mark(10, 10).upto == 14
    assert suspicion.mark(10, 110).upto == 210
    assert suspicion.mark(110, 112).upto == 210


def test_suspects_are_sorted_by_partition() -> None:
    other = Suspect(Place("frames.y", 0, 1, 1), 1, 0)
    mine = Suspect(_place(1), 1, 0)
    assert by_partition([mine, other]) == {(TOPIC, PARTITION): [mine], ("frames.y", 0): [other]}
