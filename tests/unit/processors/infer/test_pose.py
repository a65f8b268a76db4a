import numpy as np
import pytest

from processors.infer.pose import PoseHead
from schemas.errors import InputError
from schemas.modelcard import Keypoints, Task
from tests.unit.processors.infer.cards import ASKED, anchors, card, prepared

BOX = [32.0, 32.0, 20.0, 20.0]


def test_points_come_back_in_pixels_of_the_original() -> None:
    head = PoseHead(card(Task.POSE))
    outputs = [anchors([*BOX, 0.9, 0.1, 30, 34, 0.98764, 40, 24, 0.25])]
    (answer,) = head.read(outputs, [prepared((100, 80), 0.5, (4, 14))], [ASKED])
    (found,) = answer.detections or ()
    assert found.keypoints == [[52.0, 40.0, 0.9876], [72.0, 20.0, 0.25]]
    assert found.bbox == [36, 16, 76, 56]


def test_points_are_clipped_to_the_picture() -> None:
    head = PoseHead(card(Task.POSE))
    (answer,) = head.read([anchors([*BOX, 0.9, 0.1, -30, 34, 1, 400, 99, 1])], [prepared((64, 50))], [ASKED])
    assert (answer.detections or ())[0].keypoints == [[0, 34, 1], [64, 50, 1]]


def test_a_model_without_visibility_gives_null() -> None:
    head = PoseHead(card(Task.POSE, keypoints=Keypoints(count=2, dimensions=2)))
    (answer,) = head.read([anchors([*BOX, 0.9, 0.1, 30, 34, 40, 24])], [prepared()], [ASKED])
    assert (answer.detections or ())[0].keypoints == [[30, 34, None], [40, 24, None]]


def test_points_stay_with_their_box_through_suppression_and_order() -> None:
    head = PoseHead(card(Task.POSE))
    rows = [
        [10, 10, 8, 8, 0.3, 0.0, 1, 1, 1, 1, 1, 1],
        [*BOX, 0.8, 0.1, 2, 2, 1, 2, 2, 1],
        [33, 32, 20, 20, 0.9, 0.1, 3, 3, 1, 3, 3, 1],
    ]
    (answer,) = head.read([anchors(*rows)], [prepared()], [ASKED])
    assert [(one.keypoints or [])[0][0] for one in answer.detections or ()] == [3, 1]


def test_final_rows_carry_their_points() -> None:
    head = PoseHead(card(Task.POSE, end_to_end=True))
    rows = np.array([[[1, 2, 30, 40, 0.9, 1, 10, 11, 0.5, 12, 13, 0.75]]], np.float32)
    (answer,) = head.read([rows], [prepared()], [ASKED])
    (found,) = answer.detections or ()
    assert (found.class_name, found.keypoints) == ("dog", [[10, 11, 0.5], [12, 13, 0.75]])


def test_no_objects_is_an_empty_answer() -> None:
    (answer,) = PoseHead(card(Task.POSE)).read([anchors([*BOX, 0.1, 0.1, *[0] * 6])], [prepared()], [ASKED])
    assert answer.detections == ()


def test_points_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError):
        PoseHead(card(Task.POSE)).read([anchors([*BOX, 0.9, 0.1, np.inf, *[0] * 5])], [prepared()], [ASKED])
