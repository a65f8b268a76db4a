"""AP against hand-worked cases, and against what ultralytics' own `val` gives for the same detections."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.infer.boxes import box_iou
from schemas.modelcard import Task
from sightline.models.average_precision import IOU_THRESHOLDS, Flags, match, score
from sightline.models.geometry import keypoint_similarity, mask_iou, sigmas
from sightline.models.labels import LabelForm, read_labels

_REFERENCE = Path(__file__).with_name("reference") / "ultralytics-val.json"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_REFERENCE.read_text())
    return content


def _right(*columns: bool) -> Flags:
    return np.array([[value] * len(IOU_THRESHOLDS) for value in columns]).reshape(-1, len(IOU_THRESHOLDS))


def _one_class(right: Flags, objects: int) -> float:
    confidences = np.linspace(0.9, 0.1, len(right))
    zeros = np.zeros(len(right), np.int64)
    return score(right, confidences, zeros, np.zeros(objects, np.int64)).map50


@pytest.mark.parametrize(
    ("right", "objects", "expected"),
    [
        ([True, True], 2, 1.0),
        ([True], 2, 0.5),  # half of the objects, without a mistake
        ([False], 1, 0.0),
        ([], 3, 0.0),
        ([True, False, False], 1, 1.0),  # mistakes below the last object cost nothing
        ([False, True], 1, 0.5),
        ([True, False, True], 2, 0.5 + 0.5 * 2 / 3),
        ([True, True, False, True], 4, 0.5 + 0.25 * 3 / 4),  # and nothing for the fourth object
    ],
)
def test_worked_cases(right: list[bool], objects: int, expected: float) -> None:
    assert _one_class(_right(*right), objects) == pytest.approx(expected, abs=0.006)


def test_a_class_without_an_object_does_not_count() -> None:
    scores = score(_right(True, False), np.array([0.9, 0.8]), np.array([0, 1]), np.array([0]))
    assert list(scores.classes) == [0]
    assert scores.map50 == pytest.approx(1.0)


def test_nothing_labelled_is_zero_and_no_error() -> None:
    scores = score(_right(), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert (scores.map50, scores.map50_95) == (0.0, 0.0)
    assert scores.at_best()[3] == 0.0


def test_precision_and_recall_are_those_of_the_detections_above_a_confidence() -> None:
    scores = score(_right(True, False, True), np.array([0.9, 0.6, 0.3]), np.zeros(3, np.int64), np.zeros(4, np.int64))
    one = scores.classes[0]
    assert (one.precision[700], one.recall[700]) == (1.0, 0.25)
    assert (one.precision[500], one.recall[500]) == (0.5, 0.25)
    assert one.precision[100] == pytest.approx(2 / 3)
    assert one.recall[100] == 0.5
    assert one.recall[950] == 0.0


def test_an_object_is_found_once_and_the_surest_detection_takes_it() -> None:
    right = match(np.array([[0.7], [0.9]]), np.zeros(2, np.int64), np.zeros(1, np.int64))
    assert right[:, 0].tolist() == [True, False]
    # Where the surest does not overlap enough, the next one has it.
    assert right[:, 6].tolist() == [False, True]


def test_another_class_matches_nothing() -> None:
    assert not match(np.array([[0.99]]), np.array([1]), np.array([0])).any()


def test_detections_of_one_picture_take_the_object_that_they_overlap_most() -> None:
    right = match(np.array([[0.6, 0.8], [0.0, 0.7]]), np.zeros(2, np.int64), np.zeros(2, np.int64))
    assert right[:, 0].tolist() == [True, False]


def test_the_same_as_ultralytics_on_the_same_detections(reference: dict[str, Any], tmp_path: Path) -> None:
    form = LabelForm(Task.DETECT, 2)
    right, confidences, found, true = [], [], [], []
    for number, picture in enumerate(reference["pictures"]):
        file = tmp_path / f"{number}.txt"
        file.write_text("\n".join(picture["labels"]))
        truths = [truth.scaled(*picture["wh"]) for truth in read_labels(file, form)]
        rows = np.array(picture["found"], float).reshape(-1, 6)
        boxes = np.hstack((rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]))
        classes, ids = rows[:, 0].astype(np.int64), np.array([truth.class_id for truth in truths], np.int64)
        overlaps = box_iou(boxes, np.array([truth.bbox for truth in truths]).reshape(-1, 4))
        right.append(match(overlaps, classes, ids))
        confidences.append(rows[:, 1])
        found.append(classes)
        true.append(ids)
    assert sum(map(len, true)) > 50
    scores = score(*map(np.concatenate, (right, confidences, found, true)))
    assert scores.map50 == pytest.approx(reference["mAP50"], abs=0.01)
    assert scores.map50_95 == pytest.approx(reference["mAP50-95"], abs=0.01)
    assert [scores.classes[number].ap50 for number in (0, 1)] == pytest.approx(reference["ap50"], abs=0.01)
    assert [scores.classes[number].ap50_95 for number in (0, 1)] == pytest.approx(reference["ap"], abs=0.01)


def test_keypoint_similarity_is_that_of_ultralytics(reference: dict[str, Any]) -> None:
    compared = 0
    for case in reference["oks"]:
        for row, (truth, box) in enumerate(zip(case["truths"], case["boxes"], strict=True)):
            for column, found in enumerate(case["found"]):
                alike = keypoint_similarity(np.array(truth), box, np.array(found))
                assert alike == pytest.approx(case["oks"][row][column], abs=1e-4)
                compared += 1
    assert compared == 48


def test_seventeen_points_are_a_persons() -> None:
    assert len(set(sigmas(17).tolist())) > 1
    assert sigmas(21).tolist() == [1 / 21] * 21


def test_points_that_nobody_labelled_do_not_count() -> None:
    truth = np.array([[10.0, 10.0, 2.0], [0.0, 0.0, 0.0]])
    assert keypoint_similarity(truth, [0, 0, 20, 20], np.array([[10.0, 10.0], [900.0, 900.0]])) == 1.0
    truth[:, 2] = 0
    assert keypoint_similarity(truth, [0, 0, 20, 20], np.array([[10.0, 10.0], [0.0, 0.0]])) == 0.0


def test_box_overlaps() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 20, 30]])
    assert box_iou(boxes, boxes)[0].tolist() == pytest.approx([1.0, 1 / 3, 0.0])
    assert box_iou(boxes, np.zeros((0, 4))).shape == (3, 0)


@pytest.mark.parametrize("size", [3.0, 1000.0])
def test_mask_overlaps_do_not_depend_on_size(size: float) -> None:
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]) * size
    half = np.array([[0.0, 0], [0.5, 0], [0.5, 1], [0, 1]]) * size
    assert mask_iou([square], [square]) == 1.0
    assert mask_iou([square], [half]) == pytest.approx(0.5, abs=0.01)
    assert mask_iou([square], [half, half + np.array([size / 2, 0])]) == pytest.approx(1.0, abs=0.01)
    assert mask_iou([square], [square + 2 * size]) == 0.0
    assert mask_iou([], [square]) == 0.0
