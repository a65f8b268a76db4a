import numpy as np
import pytest

from processors.infer.landmarks import LandmarksHead
from schemas.modelcard import Task
from tests.unit.processors.infer.cards import ASKED, card

HEAD = LandmarksHead(card(Task.LANDMARKS, input_wh=(6, 1)))
POINTS: list[list[float | None]] = [[100, 200, 0.9], [103, 204, 0.8], [100, 190, None]]


def test_the_first_point_is_the_origin_and_the_farthest_is_one_away() -> None:
    prepared = HEAD.prepare_points(POINTS)
    assert prepared.tensor.dtype == np.float32
    assert prepared.tensor.tolist() == pytest.approx([0, 0, 0.3, 0.4, 0, -1])


def test_place_and_size_do_not_matter() -> None:
    moved = [[3 * float(x or 0) - 50, 3 * float(y or 0) + 7] for x, y, _ in POINTS]
    assert np.allclose(HEAD.prepare_points(moved).tensor, HEAD.prepare_points(POINTS).tensor)


def test_points_that_are_all_one_give_zeros() -> None:
    assert HEAD.prepare_points([[5, 5], [5, 5], [5, 5]]).tensor.tolist() == [0] * 6


def test_another_count_of_points_is_refused() -> None:
    with pytest.raises(ValueError, match="2 points are 4 numbers, the model takes 6"):
        HEAD.prepare_points(POINTS[:2])


def test_pictures_are_refused() -> None:
    with pytest.raises(TypeError):
        HEAD.prepare(np.zeros((4, 4, 3), np.uint8))


def test_objects_are_stacked_and_classified() -> None:
    batch = [HEAD.prepare_points(POINTS), HEAD.prepare_points(POINTS[::-1])]
    stacked = HEAD.stack(batch)
    assert stacked.shape == (2, 6)
    assert stacked.dtype == np.float32
    answers = HEAD.read([np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)], batch, [ASKED] * 2)
    assert [answer.classification.label for answer in answers if answer.classification] == ["cat", "dog"]
