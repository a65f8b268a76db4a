import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from demo_models.making.handshape import FINGERS, GESTURES, shape
from processors.infer.interface import Answer
from processors.infer.landmarks import LandmarksHead
from processors.pipelines.gesture.fingers import extended_fingers
from processors.pipelines.gesture.options import GestureOptions
from processors.pipelines.gesture.summary import label_hands
from schemas.modelcard import ModelCard, Task
from schemas.result import Classification, Detection, Result
from tests.unit.processors.pipelines.materials import detection, material, summarise

Points = NDArray[np.float64]


def flat_hand(states: Sequence[bool]) -> Points:
    """Place 21 landmarks of a right hand seen from the palm; x to the right, y down, palms of 100 pixels."""
    bases = [(25, -20), (28, -95), (5, -100), (-16, -93), (-35, -82)]
    points: list[tuple[float, float]] = [(0.0, 0.0)]
    for finger, ((x, y), extended) in enumerate(zip(bases, states, strict=True)):
        if finger == 0:
            steps = (
                [(0, 0), (25, -25), (45, -45), (65, -55)] if extended else [(0, 0), (15, -30), (-5, -50), (-25, -55)]
            )
        else:
            steps = [(0, 0), (0, -45), (0, -75), (0, -95)] if extended else [(0, 0), (0, -20), (0, 5), (0, 25)]
        points += [(x + right, y + down) for right, down in steps]
    return np.array(points, np.float64)


def moved(points: Points, turn: float, scale: float, place: tuple[float, float], *, mirrored: bool) -> Points:
    cos, sin = np.cos(turn), np.sin(turn)
    flipped = points * [-1.0 if mirrored else 1.0, 1.0]
    return np.asarray(flipped @ np.array([[cos, sin], [-sin, cos]]) * scale + place, np.float64)


def hand(points: Points, confidence: float = 0.9) -> Detection:
    rows = [[round(float(x), 2), round(float(y), 2), 1.0] for x, y in points]
    return detection("hand", confidence, keypoints=rows, bbox=[0.0, 0.0, 10.0, 10.0])


def gesture(label: str, probability: float = 0.8) -> Classification:
    return Classification(label=label, probability=probability)


def states_of(points: Points) -> tuple[bool, ...]:
    found = extended_fingers([(float(x), float(y)) for x, y in points], GestureOptions())
    assert tuple(found) == FINGERS
    return tuple(found.values())


@given(
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.floats(0, 2 * np.pi),
    st.floats(0.2, 20),
    st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000)),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_fingers_are_told_wherever_the_hand_is_and_whichever_way_it_is_turned(
    states: list[bool],
    turn: float,
    scale: float,
    place: tuple[float, float],
    mirrored: bool,  # noqa: FBT001
) -> None:
    assert states_of(moved(flat_hand(states), turn, scale, place, mirrored=mirrored)) == tuple(states)


@pytest.mark.parametrize("name", GESTURES)
def test_fingers_of_jointed_hands_that_look_away(name: str) -> None:
    random = np.random.default_rng(len(name))
    for _ in range(100):
        points = shape(random, name).points[:, :2].astype(np.float64) * [100, -100]
        assert states_of(points) == GESTURES[name]


def test_landmarks_are_seen_from_the_wrist_in_units_of_the_largest_distance() -> None:
    points = moved(flat_hand([True] * 5), 0.4, 2.0, (300, 400), mirrored=False)
    summary = summarise("gesture", material(Answer(detections=(hand(points),)), (gesture("Open"),)))
    landmarks = np.array(summary.facts["hands"][0]["landmarks"])
    assert landmarks.shape == (21, 2)
    assert landmarks[0].tolist() == [0, 0]
    assert np.hypot(*landmarks.T).max() == pytest.approx(1, abs=1e-3)
    assert np.abs(landmarks).max() <= 1
    again = moved(flat_hand([True] * 5), 0.4, 7.0, (-20, 90), mirrored=False)
    other = summarise("gesture", material(Answer(detections=(hand(again),)), (gesture("Open"),)))
    assert np.abs(landmarks - np.array(other.facts["hands"][0]["landmarks"])).max() < 1e-3


def test_landmarks_are_those_that_the_classifier_sees() -> None:
    card = ModelCard(
        name="m", version="1", task=Task.LANDMARKS, files={"model.onnx": "0" * 64}, classes=("a", "b"),
        input_wh=(42, 1), licence="none",
    )  # fmt: skip
    found = hand(moved(flat_hand([True, False, True, False, True]), 1.0, 1.7, (200, 300), mirrored=True))
    summary = summarise("gesture", material(Answer(detections=(found,)), (gesture("Open"),)))
    seen = LandmarksHead(card).prepare_points(found.keypoints or []).tensor.reshape(21, 2)
    assert np.abs(np.array(summary.facts["hands"][0]["landmarks"]) - seen).max() < 1e-4


def test_a_hand_in_one_point_has_neither_size_nor_fingers() -> None:
    summary = summarise("gesture", material(Answer(detections=(hand(np.full((21, 2), 7.0)),)), (gesture("Close"),)))
    assert summary.facts["hands"][0]["landmarks"] == [[0, 0]] * 21
    assert summary.facts["finger_count"] == 0


def test_each_hand_has_its_own_gesture_and_the_surest_hand_decides() -> None:
    two, four = flat_hand([False, True, True, False, False]), flat_hand([False, True, True, True, True])
    answer = Answer(detections=(hand(two, 0.7), hand(four, 0.9)))
    summary = summarise("gesture", material(answer, (gesture("Two", 0.99), gesture("Four", 0.6))))
    assert (summary.verdict, summary.facts["hand_count"], summary.facts["finger_count"]) == ("Four", 2, 4)
    first, second = summary.facts["hands"]
    assert (first["gesture"], first["gesture_confidence"], first["finger_count"]) == ("Two", 0.99, 2)
    assert first["fingers"] == {"thumb": False, "index": True, "middle": True, "ring": False, "little": False}
    assert (second["gesture"], second["finger_count"]) == ("Four", 4)
    assert json.loads(json.dumps(summary.facts)) == summary.facts


@pytest.mark.parametrize("landmarks", [None, ()])
def test_no_hand(landmarks: tuple[Classification, ...] | None) -> None:
    summary = summarise("gesture", material(Answer(detections=()), landmarks))
    assert (summary.verdict, summary.facts) == ("none", {"hand_count": 0, "hands": []})


def test_a_hand_without_a_gesture_and_a_hand_with_other_keypoints_are_refused() -> None:
    whole, half = hand(flat_hand([True] * 5)), hand(flat_hand([True] * 5)[:17])
    with pytest.raises(ValueError, match="shorter"):
        summarise("gesture", material(Answer(detections=(whole,)), ()))
    with pytest.raises(ValueError, match="21 landmarks, not 17"):
        summarise("gesture", material(Answer(detections=(half,)), (gesture("Open"),)))


def test_ratios_are_options() -> None:
    answer = Answer(detections=(hand(flat_hand([True] * 5)),))
    strict = summarise("gesture", material(answer, (gesture("Open"),)), {"finger_ratio": 2.0, "thumb_ratio": 2.0})
    assert strict.facts["finger_count"] == 0


def test_an_overlay_names_the_gestures() -> None:
    answer = Answer(detections=(hand(flat_hand([False, True, True, False, False])),))
    summary = summarise("gesture", material(answer, (gesture("Two", 0.987),)))
    assert label_hands(result(dict(summary.facts))) == ["Two 0.99, 2 fingers"]
    assert label_hands(result(None)) == []


def result(facts: dict[str, Any] | None) -> Result:
    moment = datetime(2025, 3, 1, tzinfo=UTC)
    return Result(
        result_id="r",
        frame_id="f",
        pipeline="gesture",
        source="/cameras/1",
        captured_at=moment,
        processed_at=moment,
        summary=facts,
    )
