import cv2
import numpy as np
import pytest

from processors.infer.interface import Floats
from processors.infer.nms import MAX_CANDIDATES, Indices, by_falling_score, suppress

ONE_CLASS = np.zeros(1, np.intp)


def _boxes(*boxes: tuple[float, float, float, float]) -> Floats:
    return np.array(boxes, np.float32)


def _crowd(count: int, classes: int, seed: int) -> tuple[Floats, Floats, Indices]:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 500, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 120, (count, 2))], axis=1).astype(np.float32)
    return boxes, random.uniform(0, 1, count).astype(np.float32), random.integers(0, classes, count)


def test_nothing_in_nothing_out() -> None:
    kept = suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.intp), 0.5, 300)
    assert kept.tolist() == []


def test_the_better_of_two_that_overlap_stays() -> None:
    boxes = _boxes((0, 0, 10, 10), (1, 1, 11, 11), (30, 30, 40, 40))
    scores = np.array([0.5, 0.9, 0.3], np.float32)
    assert suppress(boxes, scores, ONE_CLASS.repeat(3), 0.5, 300).tolist() == [1, 2]


def test_boxes_of_other_classes_do_not_count() -> None:
    boxes = _boxes((0, 0, 10, 10), (0, 0, 10, 10))
    assert suppress(boxes, np.array([0.5, 0.9], np.float32), np.array([0, 1]), 0.5, 300).tolist() == [1, 0]


def test_an_overlap_of_just_the_threshold_stays() -> None:
    boxes = _boxes((0, 0, 10, 10), (0, 0, 10, 5))  # IoU 0.5
    scores = np.array([0.9, 0.8], np.float32)
    assert suppress(boxes, scores, ONE_CLASS.repeat(2), 0.5, 300).tolist() == [0, 1]
    assert suppress(boxes, scores, ONE_CLASS.repeat(2), 0.499, 300).tolist() == [0]


def test_what_was_suppressed_suppresses_nothing() -> None:
    boxes = _boxes((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert suppress(boxes, scores, ONE_CLASS.repeat(3), 0.3, 300).tolist() == [0, 2]


def test_equal_scores_keep_their_order() -> None:
    boxes = _boxes((0, 0, 10, 10), (1, 0, 11, 10), (50, 0, 60, 10))
    assert suppress(boxes, np.full(3, 0.5, np.float32), ONE_CLASS.repeat(3), 0.5, 300).tolist() == [0, 2]


def test_boxes_without_an_area_stay_and_suppress_nothing() -> None:
    boxes = _boxes((5, 5, 5, 5), (5, 5, 5, 5), (0, 0, 10, 10))
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert suppress(boxes, scores, ONE_CLASS.repeat(3), 0.5, 300).tolist() == [0, 1, 2]


def test_at_most_so_many_stay() -> None:
    boxes, scores, classes = _crowd(200, 3, 0)
    everything = suppress(boxes, scores, classes, 0.5, 300)
    assert suppress(boxes, scores, classes, 0.5, 7).tolist() == everything[:7].tolist()


def test_too_many_candidates_are_cut_by_score() -> None:
    assert len(by_falling_score(np.zeros(MAX_CANDIDATES + 5, np.float32), MAX_CANDIDATES)) == MAX_CANDIDATES
    assert by_falling_score(np.array([0.1, 0.9, 0.5], np.float32), 2).tolist() == [1, 2]


@pytest.mark.parametrize("classes", [1, 5])
@pytest.mark.parametrize("iou", [0.1, 0.45, 0.7, 0.95])
def test_a_crowd_is_thinned_as_opencv_thins_it(classes: int, iou: float) -> None:
    boxes, scores, labels = _crowd(3000, classes, classes)
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    theirs = cv2.dnn.NMSBoxesBatched(rectangles.tolist(), scores.tolist(), labels.tolist(), 0.0, iou)
    assert set(suppress(boxes, scores, labels, iou, 3000).tolist()) == set(np.array(theirs).ravel().tolist())
