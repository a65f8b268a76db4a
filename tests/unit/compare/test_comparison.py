"""What is counted of two sets of results."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.result import Check, Classification, Quality, Result
from sightline.compare.change import Rules
from sightline.compare.comparison import Comparison
from sightline.compare.facts import tally_facts
from tests.unit.compare.samples import change, compared, detection, pair, result


def said(label: str, probability: float) -> Classification:
    return Classification(label=label, probability=probability)


def checked(**passed: bool) -> Quality:
    checks = [Check(name=name, passed=value, value=1, score=50, reason="r") for name, value in passed.items()]
    return Quality(score=50, level="fair", checks=checks)


def test_a_verdict_that_changed() -> None:
    old = result(verdict="accepted", score=66.0, quality=checked(blur=True, exposure=True))
    new = result(verdict="rejected", score=61.5, quality=checked(blur=False, exposure=True))
    tally = compared([pair(old, new)]).originals
    assert (tally.frames, tally.answers_changed, tally.worse, tally.identical) == (1, 1, 1, 0)
    assert tally.verdicts == {("accepted", "rejected"): 1}
    assert tally.scores.counts == {-4.5: 1}
    assert (tally.checks["blur"].now_failed, tally.checks["exposure"].now_failed) == (1, 0)


def test_a_verdict_that_changed_for_a_better_score_is_not_worse() -> None:
    assert not change(result(verdict="rejected", score=61.5), result(verdict="accepted", score=66.0)).worse
    assert change(result(verdict="rejected"), result(verdict="accepted")).worse


def test_a_score_may_fall_by_what_is_allowed() -> None:
    old, new = result(verdict="accepted", score=90.0), result(verdict="accepted", score=88.5)
    assert change(old, new).worse
    assert not change(old, new, Rules(score_drop=1.5)).worse
    assert not change(result(score=16.1), result(score=15.1), Rules(score_drop=1.0)).worse


def test_a_label_that_changed_has_no_shift_of_probability() -> None:
    tally = compared([
        pair(result(1, classification=said("real", 0.9)), result(1, classification=said("fake", 0.8))),
        pair(result(2, classification=said("real", 0.9)), result(2, classification=said("real", 0.8))),
    ]).originals  # fmt: skip
    assert tally.answers_changed == 1
    assert tally.labels == {("real", "fake"): 1, ("real", "real"): 1}
    assert tally.probabilities.counts == {-0.1: 1}


def test_detections_are_counted_by_class_and_camera() -> None:
    old = result(detections=[detection("ripe", 0, 0.9), detection("ripe", 50), detection("mature", 100)])
    new = result(detections=[detection("ripe", 1, 0.8), detection("mature", 50)])
    tally = compared([pair(old, new)]).originals
    assert (tally.detections.old, tally.detections.new, tally.detections.matched) == (3, 2, 1)
    assert (tally.detections.lost, tally.detections.gained, tally.detections.reclassified) == (2, 1, 1)
    assert tally.lost_share == pytest.approx(2 / 3)
    assert tally.gained_share == 0.5
    ripe, mature = tally.classes["ripe"], tally.classes["mature"]
    assert (ripe.old, ripe.new, ripe.matched, ripe.lost, ripe.gained, ripe.reclassified) == (2, 1, 1, 1, 0, 1)
    assert (mature.old, mature.new, mature.matched, mature.lost, mature.gained) == (1, 1, 0, 1, 1)
    assert ripe.confidence.mean == pytest.approx(-0.1)
    assert tally.largest_box_shift == 1.0
    camera = tally.cameras[old.source]
    assert (camera.frames, camera.lost, camera.gained, camera.worse) == (1, 2, 1, 1)


def test_copies_frames_on_one_side_and_skipped_ones_stand_apart() -> None:
    skipped = {"kind": "skipped", "image": None}
    comparison = compared([
        pair(result(1, verdict="a"), result(1, verdict="b"), copied=True),
        pair(result(2), result(2)),
        pair(result(3), None),
        pair(None, result(4)),
        pair(result(5), result(5, **skipped)),
        pair(result(6, **skipped), result(6)),
        pair(result(7, **skipped), result(7, **skipped)),
    ])  # fmt: skip
    assert (comparison.originals.frames, comparison.copies.frames, comparison.frames) == (1, 1, 2)
    assert (comparison.originals.answers_changed, comparison.copies.answers_changed) == (0, 1)
    assert (comparison.only_old.total(), comparison.only_new.total()) == (1, 1)
    assert (comparison.skipped_old, comparison.skipped_new) == (2, 2)
    # 3 and 5 have no new answer, of 1, 2, 3 and 5.
    assert comparison.missing_share == 0.5


def test_only_the_frames_that_changed_most_are_kept() -> None:
    pairs = [pair(result(number, score=90.0), result(number, score=90.0 - number)) for number in range(30)]
    comparison = compared(pairs, most=3)
    assert [kept.score_shift for kept in comparison.most_changed()] == [-29.0, -28.0, -27.0]
    assert not compared(pairs, most=0).most_changed()
    assert not compared([pair(result(), result())]).most_changed()


def test_shifts_are_summed_up() -> None:
    shifts = [0.0] * 6 + [-1.0, -2.0, 3.0, 0.5]
    pairs = [pair(result(place, score=50.0), result(place, score=50.0 + shift)) for place, shift in enumerate(shifts)]
    facts = tally_facts(compared(pairs).originals)["score"]
    assert (facts["count"], facts["moved"], facts["mean"]) == (10, 4, 0.05)
    assert (facts["median_size"], facts["p95_size"]) == (0.0, 3.0)
    assert facts["largest_fall"] == {"shift": -2.0, "frame_id": result(7).frame_id}
    assert facts["largest_rise"] == {"shift": 3.0, "frame_id": result(8).frame_id}


_results = st.builds(
    lambda number, verdict, score, found: result(number, verdict=verdict, score=score, detections=found),
    st.integers(0, 50),
    st.sampled_from([None, "accepted", "rejected"]),
    st.none() | st.integers(0, 1000).map(lambda tenths: tenths / 10),
    st.lists(
        st.builds(detection, st.sampled_from(["ripe", "mature"]), st.integers(0, 9).map(float), st.just(0.5)),
        max_size=4,
    ),
)
_sets = st.lists(_results, max_size=8, unique_by=lambda one: one.frame_id)


def joined(old: list[Result], new: list[Result]) -> Comparison:
    before, after = ({one.frame_id: one for one in side} for side in (old, new))
    return compared(pair(before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys()))


@given(_sets)
def test_a_set_against_itself_finds_nothing(one: list[Result]) -> None:
    comparison = joined(one, one)
    tally = comparison.originals
    assert (tally.frames, tally.identical) == (len(one), len(one))
    assert (tally.answers_changed, tally.worse, tally.detections.lost, tally.detections.gained) == (0, 0, 0, 0)
    assert (tally.scores.moved, tally.confidences.moved, tally.largest_box_shift) == (0, 0, 0.0)
    assert (comparison.only_old.total(), comparison.only_new.total(), comparison.missing_share) == (0, 0, 0)
    assert not comparison.most_changed()


@given(_sets, _sets)
def test_exchanged_sides_exchange_what_is_lost_and_gained(old: list[Result], new: list[Result]) -> None:
    there, back = joined(old, new), joined(new, old)
    assert (there.only_old, there.only_new) == (back.only_new, back.only_old)
    one, other = there.originals, back.originals
    assert one.answers_changed == other.answers_changed
    assert {(after, before): count for (before, after), count in one.verdicts.items()} == other.verdicts
    assert {-shift + 0.0: count for shift, count in one.scores.counts.items()} == other.scores.counts
    assert (one.detections.lost, one.detections.gained) == (other.detections.gained, other.detections.lost)
    for name, of_class in one.classes.items():
        assert (of_class.lost, of_class.gained) == (other.classes[name].gained, other.classes[name].lost)
    weights = [sorted(round(kept.weight, 6) for kept in side.most_changed()) for side in (there, back)]
    assert weights[0] == weights[1]
