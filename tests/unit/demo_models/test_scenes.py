from collections import Counter

import numpy as np
import pytest

from demo_models.making import banana, faces, hands
from demo_models.making.handshape import GESTURES
from demo_models.making.scene import SEEN_SIZES_WH, UNSEEN_SIZES_WH, Scene
from demo_models.making.subjects import SUBJECTS

NAMES = sorted(SUBJECTS)
SOME = range(6)


def scenes(name: str, *, unseen: bool = False) -> list[Scene]:
    return [SUBJECTS[name].draw(seed, unseen=unseen) for seed in SOME]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unseen", [False, True])
def test_a_seed_gives_the_same_scene_each_time(name: str, *, unseen: bool) -> None:
    first, second = (SUBJECTS[name].draw(3, unseen=unseen) for _ in range(2))
    assert np.array_equal(first.picture_bgr, second.picture_bgr)
    assert [thing.box_xyxy for thing in first.things] == [thing.box_xyxy for thing in second.things]
    assert (first.difficulty, first.label) == (second.difficulty, second.label)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_both_worlds_differ(name: str) -> None:
    size = (320, 320)
    one = SUBJECTS[name].draw(1, size_wh=size).picture_bgr.astype(int)
    other = SUBJECTS[name].draw(2, size_wh=size).picture_bgr.astype(int)
    unseen = SUBJECTS[name].draw(1, size_wh=size, unseen=True).picture_bgr.astype(int)
    assert np.abs(one - other).mean() > 5
    assert np.abs(one - unseen).mean() > 5


def test_unseen_sizes_are_not_those_of_training() -> None:
    assert not set(SEEN_SIZES_WH) & set(UNSEEN_SIZES_WH)
    assert not set(faces.SEEN_SIZES_WH) & set(faces.UNSEEN_SIZES_WH)


@pytest.mark.parametrize("name", NAMES)
def test_an_asked_size_is_kept(name: str) -> None:
    picture = SUBJECTS[name].draw(0, size_wh=(352, 288)).picture_bgr
    assert picture.shape == (288, 352, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unseen", [False, True])
def test_truth_lies_in_the_picture(name: str, *, unseen: bool) -> None:
    for scene in scenes(name, unseen=unseen):
        height, width = scene.picture_bgr.shape[:2]
        for thing in scene.things:
            x1, y1, x2, y2 = thing.box_xyxy
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            for points in (*thing.parts, *([] if thing.points is None else [thing.points])):
                assert points[:, 0].min() >= x1 - 1
                assert points[:, 1].min() >= y1 - 1
                assert points[:, 0].max() <= x2 + 1
                assert points[:, 1].max() <= y2 + 1


@pytest.mark.parametrize("name", NAMES)
def test_difficulty_is_a_share_that_varies(name: str) -> None:
    difficulties = [scene.difficulty for scene in scenes(name)]
    assert all(0 <= difficulty <= 1 for difficulty in difficulties)
    assert len(set(difficulties)) == len(difficulties)


def test_all_ripenesses_occur_and_some_bananas_are_in_pieces() -> None:
    things = [thing for seed in range(40) for thing in banana.draw(seed).things]
    assert set(Counter(thing.label for thing in things)) == set(banana.LABELS)
    assert any(len(thing.parts) > 1 for thing in things)
    assert all(len(part) >= 3 for thing in things for part in thing.parts)


def test_all_gestures_occur_each_with_21_landmarks() -> None:
    things = [thing for seed in range(40) for thing in hands.draw(seed).things]
    assert {thing.pose for thing in things} == set(GESTURES)
    assert all(thing.points is not None and thing.points.shape == (21, 3) for thing in things)
    seen = {float(value) for thing in things if thing.points is not None for value in thing.points[:, 2]}
    assert seen == {1.0, 2.0}


def test_both_kinds_of_portrait_occur() -> None:
    assert {scene.label for scene in scenes("demo-deepfake")} == set(faces.LABELS)


def test_some_endoscopy_scenes_show_no_polyp() -> None:
    counts = [len(SUBJECTS["demo-polyp"].draw(seed).things) for seed in range(30)]
    assert min(counts) == 0
    assert max(counts) > 1
