import pytest

from processors.thresholds import resolve_thresholds
from schemas.errors import Code, InputError, Stage
from schemas.frame import FrameSettings
from schemas.modelcard import Thresholds
from schemas.pipeline import Bounds, InferenceRules

CARD = Thresholds(confidence=0.2, iou=0.6, max_detections=100)
NOTHING = FrameSettings()


def test_without_any_wish_those_of_the_card_hold() -> None:
    assert resolve_thresholds(NOTHING, InferenceRules(), CARD) == CARD


def test_a_frame_goes_before_its_pipeline_and_that_before_the_card() -> None:
    rules = InferenceRules(confidence=0.4, iou=0.5, max_detections=7)
    assert resolve_thresholds(NOTHING, rules, CARD) == Thresholds(confidence=0.4, iou=0.5, max_detections=7)
    asked = FrameSettings(confidence=0.9, iou=0.1)
    assert resolve_thresholds(asked, rules, CARD) == Thresholds(confidence=0.9, iou=0.1, max_detections=7)


def test_zero_is_a_wish_like_any_other() -> None:
    asked = FrameSettings(confidence=0.0, iou=0.0)
    assert resolve_thresholds(asked, InferenceRules(confidence=0.4), CARD) == Thresholds(
        confidence=0, iou=0, max_detections=100
    )


@pytest.mark.parametrize("value", [0.1, 0.55, 1.0])
def test_the_bounds_themselves_are_allowed(value: float) -> None:
    rules = InferenceRules(confidence_bounds=Bounds(least=0.1), iou_bounds=Bounds(least=0.1))
    found = resolve_thresholds(FrameSettings(confidence=value, iou=value), rules, CARD)
    assert (found.confidence, found.iou) == (value, value)


@pytest.mark.parametrize(
    ("name", "asked", "value"),
    [
        ("confidence", FrameSettings(confidence=0.0999), 0.0999),
        ("confidence", FrameSettings(confidence=0.901), 0.901),
        ("iou", FrameSettings(iou=0.0999), 0.0999),
        ("iou", FrameSettings(iou=0.901), 0.901),
    ],
)
def test_what_is_out_of_bounds_is_the_frames_own_fault(name: str, asked: FrameSettings, value: float) -> None:
    rules = InferenceRules(confidence_bounds=Bounds(least=0.1, most=0.9), iou_bounds=Bounds(least=0.1, most=0.9))
    with pytest.raises(InputError) as caught:
        resolve_thresholds(asked, rules, CARD)
    assert (caught.value.code, caught.value.stage) == (Code.SETTING_INVALID, Stage.FRAME)
    assert f"ce_{name}" in caught.value.reason
    assert str(value) not in caught.value.reason


def test_the_bounds_are_for_frames_and_not_for_the_pipeline_itself() -> None:
    rules = InferenceRules(confidence=0.05, confidence_bounds=Bounds(least=0.1))
    assert resolve_thresholds(NOTHING, rules, CARD).confidence == 0.05
