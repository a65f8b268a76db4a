"""When two answers to one picture are the same, and when they are not."""

from collections.abc import Sequence
from typing import Any

import pytest

from processors.infer.interface import Answer
from schemas.modelcard import Thresholds
from schemas.result import Classification, Detection
from sightline.models.parity import FP16, FP32, Comparison, compare

_THRESHOLDS = Thresholds(confidence=0.25, iou=0.7, max_detections=300)
_SQUARE = [[0.0, 0.0], [100.0, 0.0], [100.0, 100.0], [0.0, 100.0]]


def _found(confidence: float = 0.8, bbox: Sequence[float] = (0, 0, 100, 100), **parts: Any) -> Detection:
    fields = {"class": "thing", "class_id": 0, "confidence": confidence, "bbox": list(bbox)}
    return Detection.model_validate({**fields, **parts})


def _compare(before: Sequence[Detection], after: Sequence[Detection], **changes: Any) -> Comparison:
    arguments = {"thresholds": _THRESHOLDS, "allowed": FP32, **changes}
    return compare(Answer(detections=tuple(before)), Answer(detections=tuple(after)), **arguments)


def test_equal_answers() -> None:
    one = _found(polygon=_SQUARE, keypoints=[[5.0, 5.0, 0.9]])
    comparison = _compare([one, _found(0.5, (200, 0, 260, 50))], [_found(0.5, (200, 0, 260, 50)), one])
    assert comparison.expected == 2
    assert comparison.problems == ()
    assert comparison.weight == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (_found(), _found(bbox=(0, 0, 100, 99.2)), None),
        (_found(), _found(bbox=(0, 0, 100, 98.5)), "boxes"),
        (_found(0.8), _found(0.8049), None),
        (_found(0.8), _found(0.8051), "scores"),
        (_found(polygon=_SQUARE), _found(polygon=[*_SQUARE[:2], [100.0, 99.0], [0.0, 99.0]]), None),
        (_found(polygon=_SQUARE), _found(polygon=[*_SQUARE[:2], [100.0, 96.0], [0.0, 96.0]]), "masks"),
        (_found(keypoints=[[5.0, 5.0, 1.0]]), _found(keypoints=[[5.4, 4.6, 0.2]]), None),
        (_found(keypoints=[[5.0, 5.0, 1.0]]), _found(keypoints=[[5.0, 5.6, 1.0]]), "keypoint"),
    ],
)
def test_tolerances_of_full_precision(before: Detection, after: Detection, word: str | None) -> None:
    comparison = _compare([before], [after])
    if word is None:
        assert comparison.problems == ()
        assert comparison.weight <= 1.0
    else:
        assert len(comparison.problems) == 1
        assert word in comparison.problems[0]
        assert comparison.weight > 1.0


def test_half_precision_may_be_further_away() -> None:
    pair = [_found()], [_found(0.8099, (0, 0, 100, 98.5))]
    assert _compare(*pair).problems
    assert not _compare(*pair, allowed=FP16).problems


def test_what_is_missing_or_new_is_a_problem() -> None:
    (lost,) = _compare([_found()], []).problems
    assert "is missing" in lost
    (new,) = _compare([], [_found()]).problems
    assert "is not in the original" in new


def test_another_class_is_both() -> None:
    other = _found().model_copy(update={"class_id": 1})
    assert len(_compare([_found()], [other]).problems) == 2


@pytest.mark.parametrize(("confidence", "excused"), [(0.2509, True), (0.2511, False)])
def test_at_the_confidence_threshold_it_may_come_and_go(confidence: float, excused: bool) -> None:  # noqa: FBT001 -- a case
    for before, after in (([_found(confidence)], list[Detection]()), ([], [_found(confidence)])):
        comparison = _compare(before, after)
        assert comparison.near_threshold == excused
        assert bool(comparison.problems) != excused


@pytest.mark.parametrize(("overlap", "excused"), [(0.7005, True), (0.702, False)])
def test_at_the_iou_that_suppresses_it_may_come_and_go(overlap: float, excused: bool) -> None:  # noqa: FBT001 -- a case
    second = _found(0.7, (0, 0, 100, 100 * overlap))
    comparison = _compare([_found()], [_found(), second])
    assert comparison.near_threshold == excused
    assert bool(comparison.problems) != excused


def test_at_the_end_of_a_full_list_it_may_come_and_go() -> None:
    far = [_found(0.9 - number / 10, (200 * number, 0, 200 * number + 50, 50)) for number in range(3)]
    swapped = _found(0.7, (900, 0, 950, 50))
    full = Thresholds(confidence=0.25, max_detections=3)
    assert _compare(far, [*far[:2], swapped], thresholds=full).near_threshold == 2
    assert _compare(far, [*far[:2], swapped]).near_threshold == 0


def test_of_two_boxes_for_one_object_either_may_be_kept_if_the_original_is_as_sure() -> None:
    kept, twin = _found(0.800), _found(0.799, (0, 0, 100, 94))
    every = Answer(detections=(kept, twin))
    assert _compare([kept], [twin], allowed=FP16).problems
    comparison = _compare([kept], [twin], allowed=FP16, candidates=every)
    assert (comparison.ties, comparison.problems) == (1, ())
    # One of which the original is less sure is another answer.
    unsure = Answer(detections=(kept, _found(0.7, (0, 0, 100, 94))))
    assert _compare([kept], [_found(0.7, (0, 0, 100, 94))], allowed=FP16, candidates=unsure).problems


def _said(**probabilities: float) -> Answer:
    label = max(probabilities, key=lambda name: probabilities[name])
    said = Classification(label=label, probability=probabilities[label], probabilities=probabilities)
    return Answer(classification=said)


def test_classifications() -> None:
    original = _said(cat=0.6, dog=0.4)
    assert not compare(original, _said(cat=0.604, dog=0.396), _THRESHOLDS, FP32).problems
    assert "differs by 0.0100" in compare(original, _said(cat=0.61, dog=0.39), _THRESHOLDS, FP32).problems[0]
    assert "dog instead of cat" in compare(original, _said(cat=0.4, dog=0.6), _THRESHOLDS, FP32).problems[-1]


def test_equally_probable_classes_may_change_places() -> None:
    comparison = compare(_said(cat=0.5004, dog=0.4996), _said(cat=0.4996, dog=0.5004), _THRESHOLDS, FP32)
    assert (comparison.ties, comparison.problems) == (1, ())
