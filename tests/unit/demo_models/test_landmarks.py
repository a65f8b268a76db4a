import numpy as np
import pytest

from demo_models.making.handshape import GESTURES, shape
from demo_models.making.landmarks import LABELS, normalise, sample

HAND = np.random.default_rng(0).uniform(0, 300, (21, 3)).astype(np.float32)


def test_normalised_landmarks_begin_at_the_wrist_and_reach_one() -> None:
    values = normalise(HAND).reshape(21, 2)
    assert values[0].tolist() == [0, 0]
    assert np.hypot(*values.T).max() == pytest.approx(1)
    assert normalise(HAND).dtype == np.float32


def test_place_and_scale_do_not_matter() -> None:
    assert normalise(HAND * 3 + 40) == pytest.approx(normalise(HAND), abs=1e-5)


def test_a_hand_in_one_point_is_all_zeros() -> None:
    assert not normalise(np.full((21, 2), 7.0)).any()


def test_samples_hold_every_gesture_within_bounds() -> None:
    rows, classes, errors = sample(0, 300, unseen=False)
    assert rows.shape == (300, 42)
    assert np.abs(rows).max() <= 1 + 1e-6
    assert set(classes.tolist()) == set(range(len(LABELS)))
    assert errors.min() > 0


def test_samples_of_both_worlds_differ() -> None:
    assert not np.array_equal(sample(0, 5, unseen=False)[0], sample(0, 5, unseen=True)[0])


@pytest.mark.parametrize("gesture", GESTURES)
def test_open_fingers_reach_farther_than_closed_ones(gesture: str) -> None:
    for seed in range(20):
        hand = shape(np.random.default_rng(seed), gesture, most_tilt=0.0)
        bases, tips = hand.points[5::4, :2], hand.points[8::4, :2]
        reach = np.hypot(*tips.T) - np.hypot(*bases.T)
        assert ((reach > 0.3) == np.array(GESTURES[gesture][1:])).all()


def test_hands_are_left_and_right() -> None:
    hands = [shape(np.random.default_rng(seed), "Open", most_tilt=0.0).points for seed in range(20)]
    turns = {bool(np.sign(p[5, 0] * p[17, 1] - p[5, 1] * p[17, 0]) > 0) for p in hands}
    assert turns == {True, False}
