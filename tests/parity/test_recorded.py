"""Our answers against recorded ones of ultralytics, which our code never made; and three ways to get them wrong."""

import re
from collections.abc import Callable

import pytest

from processors.infer import letterbox, picture
from processors.infer.letterbox import Placement
from schemas.modelcard import ModelCard
from tests.parity.compare import Tally
from tests.parity.recorded import TASKS, card_of, recorded, replay

_LEAST_PICTURES = 100
_LEAST_DETECTIONS = 200
_LEAST_FULL = 80  # pictures in which there is something; a pixel high there rarely is
_MOST_BORDERLINE = 0.01  # of the reference detections
_DETECTING = ("detect", "segment", "pose")


@pytest.mark.parametrize("task", TASKS)
def test_same_answers_as_ultralytics(task: str) -> None:
    tally = replay(task)
    print(f"{task}: {tally}")
    assert not tally.problems
    assert tally.borderline <= _MOST_BORDERLINE * tally.reference
    assert tally.pictures >= _LEAST_PICTURES


@pytest.mark.parametrize("task", _DETECTING)
def test_there_is_something_to_compare(task: str) -> None:
    answers = recorded(task)
    full = [one for one in answers["pictures"] if one["detections"]]
    assert sum(len(one["detections"]) for one in full) >= _LEAST_DETECTIONS
    assert len(full) >= _LEAST_FULL
    if task == "segment":
        assert all(len(one["polygon"]) for picture in full for one in picture["detections"])


@pytest.mark.parametrize("task", TASKS)
def test_the_recording_says_who_made_it(task: str) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", recorded(task)["ultralytics"])
    assert recorded(task)["task"] == task == card_of(task).task


@pytest.mark.parametrize("task", _DETECTING)
def test_a_letterbox_shifted_by_a_pixel_is_noticed(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(picture_wh: tuple[int, int], input_wh: tuple[int, int], multiple: int | None = None) -> Placement:
        right = letterbox.place(picture_wh, input_wh, multiple)
        return Placement(right.resized_wh, (right.offset[0] + 1, right.offset[1]), right.frame_wh)

    monkeypatch.setattr(picture, "place", shifted)  # the way back knows of it, so only the model's input differs
    _assert_noticed(replay(task))


@pytest.mark.parametrize("task", TASKS)
def test_blue_for_red_is_noticed(task: str) -> None:
    _assert_noticed(replay(task, _preprocessing(channel_order="bgr")))


def test_another_interpolation_for_classify_is_noticed() -> None:
    _assert_noticed(replay("classify", _preprocessing(interpolation="linear")))


def _preprocessing(**changes: str) -> Callable[[ModelCard], ModelCard]:
    return lambda card: card.model_copy(update={"preprocessing": card.preprocessing.model_copy(update=changes)})


def _assert_noticed(tally: Tally) -> None:
    print(f"{len(tally.problems)} problems in {tally.pictures} pictures")
    assert len(tally.problems) > tally.pictures // 20
