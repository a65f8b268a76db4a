"""Names the gesture of each hand and counts its fingers."""

from typing import Any

import numpy as np

from processors.infer.detect import rounded
from processors.infer.landmarks import normalised
from processors.pipelines.counts import NONE
from processors.pipelines.gesture.fingers import LANDMARKS, extended_fingers, points_of
from processors.pipelines.gesture.options import GestureOptions
from processors.pipelines.summary import Material, Summary, SummaryKind
from schemas.modelcard import Task
from schemas.pipeline import ModelRules
from schemas.result import Classification, Detection, Result

HAND = "hand"


def summarise_gesture(material: Material, options: GestureOptions) -> Summary:
    """Give the gesture of the most confident hand as the verdict; `hands` is in the order of the detections.

    Raises ValueError where there is not one gesture for each hand.
    """
    pairs = zip(material.detections, material.landmarks or (), strict=True)
    hands = [_hand(detection, gesture, options) for detection, gesture in pairs]
    facts: dict[str, Any] = {"hand_count": len(hands), "hands": hands}
    if not hands:
        return Summary(NONE, facts)
    first = max(range(len(hands)), key=lambda index: material.detections[index].confidence)
    facts["finger_count"] = hands[first]["finger_count"]
    return Summary(hands[first]["gesture"], facts)


def label_hands(result: Result) -> list[str]:
    """Return what an overlay says of each hand: its gesture, how sure that is, and how many fingers are extended."""
    hands = (result.summary or {}).get("hands", [])
    return [f"{hand['gesture']} {hand['gesture_confidence']:.2f}, {hand['finger_count']} fingers" for hand in hands]


def _hand(detection: Detection, gesture: Classification, options: GestureOptions) -> dict[str, Any]:
    points = points_of(detection)
    fingers = extended_fingers(points, options)
    return {
        "gesture": gesture.label,
        "gesture_confidence": gesture.probability,
        "finger_count": sum(fingers.values()),
        "fingers": fingers,
        "landmarks": rounded(normalised(np.array(points, np.float64)), 4),
    }


_MODELS = {
    "detector": ModelRules(task=Task.POSE, classes=(HAND,), keypoints=LANDMARKS),
    "classifier": ModelRules(task=Task.LANDMARKS, keypoints=LANDMARKS),
}
GESTURE = SummaryKind(GestureOptions, summarise_gesture, _MODELS, labels=label_hands)
