"""Which detection of the old result is which of the new one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sightline.compare.matching import match_found
from sightline.compare.pair import Found

IOU = 0.5


def found(name: str, left: float, confidence: float = 0.9, size: float = 10.0) -> Found:
    return Found(name, len(name), confidence, (left, 0.0, left + size, size))


def test_a_box_that_moved_a_little_is_the_same() -> None:
    matching = match_found([found("ripe", 0)], [found("ripe", 2, 0.7)], IOU)
    assert (matching.matched, matching.lost, matching.gained) == (((0, 0),), (), ())


def test_exactly_the_wanted_overlap_is_enough() -> None:
    # 10 of 20 wide: a common part of 5 by 10 of 150 in all is a third.
    old, new = [found("ripe", 0)], [found("ripe", 5)]
    assert match_found(old, new, 1 / 3).matched == ((0, 0),)
    assert match_found(old, new, 0.34).matched == ()


def test_what_moved_too_far_is_lost_and_gained() -> None:
    matching = match_found([found("ripe", 0)], [found("ripe", 8)], IOU)
    assert (matching.matched, matching.lost, matching.gained) == ((), (0,), (0,))
    assert matching.reclassified == ()


def test_another_class_at_the_same_place_is_lost_gained_and_reclassified() -> None:
    matching = match_found([found("ripe", 0), found("ripe", 50)], [found("mature", 1), found("ripe", 50)], IOU)
    assert matching.matched == ((1, 1),)
    assert (matching.lost, matching.gained, matching.reclassified) == ((0,), (0,), ((0, 0),))


def test_the_best_overlap_goes_first() -> None:
    old = [found("ripe", 0), found("ripe", 3)]
    new = [found("ripe", 3)]
    assert match_found(old, new, 0.1).matched == ((1, 0),)


def test_empty_boxes_are_no_match() -> None:
    dot = Found("ripe", 0, 0.9, (5.0, 5.0, 5.0, 5.0))
    other = Found("ripe", 0, 0.8, (5.0, 5.0, 5.0, 5.0))
    assert match_found([dot], [other], IOU).lost == (0,)


_founds = st.lists(
    st.builds(
        found,
        st.sampled_from(["ripe", "mature"]),
        st.integers(0, 12).map(float),
        st.sampled_from([0.3, 0.5, 0.9]),
        st.sampled_from([8.0, 10.0]),
    ),
    max_size=7,
)


@given(_founds)
def test_a_list_against_itself_loses_nothing(one: list[Found]) -> None:
    shuffled = one[::-1]
    for matching in (match_found(one, one, IOU), match_found(one, shuffled, IOU)):
        assert len(matching.matched) == len(one)
        assert not matching.lost
        assert not matching.gained
        assert not matching.reclassified


@given(_founds, _founds)
def test_exchanged_sides_exchange_lost_and_gained(old: list[Found], new: list[Found]) -> None:
    there, back = match_found(old, new, IOU), match_found(new, old, IOU)
    assert Counter(old[place] for place in there.lost) == Counter(old[place] for place in back.gained)
    assert Counter(new[place] for place in there.gained) == Counter(new[place] for place in back.lost)
    assert len(there.matched) == len(back.matched)
    assert len(there.reclassified) == len(back.reclassified)


@given(_founds, _founds)
def test_every_detection_is_counted_once(old: list[Found], new: list[Found]) -> None:
    matching = match_found(old, new, IOU)
    assert sorted([*(i for i, _ in matching.matched), *matching.lost]) == list(range(len(old)))
    assert sorted([*(j for _, j in matching.matched), *matching.gained]) == list(range(len(new)))
    assert all(old[i].class_name == new[j].class_name for i, j in matching.matched)
    assert all(old[i].class_name != new[j].class_name for i, j in matching.reclassified)
