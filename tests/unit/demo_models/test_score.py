from dataclasses import replace

import numpy as np
import pytest

from demo_models.making import baseline
from demo_models.making.scene import Scene, Thing
from demo_models.making.score import Found, Likeness, box_likeness, mask_likeness, mean_average_precision, oks_likeness

SQUARE = np.array([[10, 10], [49, 10], [49, 49], [10, 49]], np.float32)
POINTS = np.column_stack([np.linspace(10, 50, 21), np.linspace(10, 50, 21), np.full(21, 2)])
THING = Thing("a", (10, 10, 50, 50), (SQUARE,), POINTS)
PICTURE = np.full((100, 100, 3), 40, np.uint8)
SCENE = Scene(PICTURE, (THING,), 0.5)
MASK = np.zeros((100, 100), bool)
MASK[10:50, 10:50] = True
EXACT = Found("a", 0.9, THING.box_xyxy, MASK, POINTS)


@pytest.mark.parametrize("likeness", [box_likeness, mask_likeness, oks_likeness])
def test_an_exact_answer_is_fully_like(likeness: Likeness) -> None:
    assert likeness(SCENE, [THING], [EXACT]) == pytest.approx(np.ones((1, 1)), abs=1e-6)


def test_exact_answers_score_one_and_none_score_zero() -> None:
    assert mean_average_precision([SCENE], [[EXACT]], ["a"], box_likeness) == pytest.approx(1)
    assert mean_average_precision([SCENE], [[]], ["a"], box_likeness) == 0


def test_a_surer_false_answer_halves_the_precision() -> None:
    wrong = replace(EXACT, score=0.95, box_xyxy=(60, 60, 90, 90))
    assert mean_average_precision([SCENE], [[EXACT, wrong]], ["a"], box_likeness) == pytest.approx(0.5)


def test_the_second_answer_for_one_thing_is_false() -> None:
    scenes = [SCENE, SCENE]
    found = [[EXACT, replace(EXACT, score=0.8)], [replace(EXACT, score=0.7)]]
    assert mean_average_precision(scenes, found, ["a"], box_likeness) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_another_class_is_no_answer() -> None:
    assert mean_average_precision([SCENE], [[replace(EXACT, label="b")]], ["a", "b"], box_likeness) == 0


def test_points_far_off_are_not_alike() -> None:
    far = replace(EXACT, points=POINTS + np.array([20, 0, 0]))
    assert oks_likeness(SCENE, [THING], [far])[0, 0] < 0.1


def test_the_colour_rule_finds_a_lone_colour() -> None:
    picture = PICTURE.copy()
    picture[10:50, 10:50] = (0, 0, 220)
    scene = replace(SCENE, picture_bgr=picture)
    rule = baseline.fit_colours([scene], ["a"])
    found = baseline.apply_colours(rule, scene)
    assert mean_average_precision([scene], [found], ["a"], mask_likeness) == pytest.approx(1)


def test_the_best_statistic_is_the_one_that_decides() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 400)
    rows = np.column_stack([rng.normal(size=400), classes + rng.normal(0, 0.05, 400)])
    column, accuracy = baseline.best_statistic(rows[:200], classes[:200], rows[200:], classes[200:])
    assert column == 1
    assert accuracy > 0.97
