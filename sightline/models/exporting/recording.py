"""What the original said of each picture, as the script wrote it down."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from processors.infer.interface import Answer
from schemas.modelcard import ModelCard
from schemas.result import Classification, Detection


def read_recording(path: Path, card: ModelCard) -> Iterator[tuple[tuple[int, int], Answer]]:
    """Yield, for each recorded picture, its size (width, height) and the answer, with the card's names of classes."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            recorded = json.loads(line)
            width, height = recorded["wh"]
            yield (width, height), _answer(recorded, card)


def _answer(recorded: Mapping[str, Any], card: ModelCard) -> Answer:
    if "probabilities" in recorded:
        return Answer(classification=_classification(recorded["probabilities"], card))
    count = len(recorded["boxes"])
    found = [_detection(recorded, index, card) for index in range(count)]
    return Answer(detections=tuple(sorted(found, key=lambda one: -one.confidence)))


def _classification(probabilities: list[float], card: ModelCard) -> Classification:
    best_first = np.argsort(-np.array(probabilities), kind="stable").tolist()
    named = {card.class_names[index]: probabilities[index] for index in best_first}
    label = card.class_names[best_first[0]]
    return Classification(label=label, probability=named[label], probabilities=named)


def _detection(recorded: Mapping[str, Any], index: int, card: ModelCard) -> Detection:
    class_id = recorded["classes"][index]
    return Detection.model_validate(
        {
            "class": card.class_names[class_id],
            "class_id": class_id,
            "confidence": recorded["confidences"][index],
            "bbox": recorded["boxes"][index],
            **_outline(recorded["rings"][index] if "rings" in recorded else []),
            "keypoints": _keypoints(recorded["keypoints"][index]) if "keypoints" in recorded else None,
        }
    )


def _outline(rings: list[list[list[float]]]) -> dict[str, Any]:
    """Give all pieces as parts: comparing looks at these, and nobody else reads this detection."""
    return {"polygon": rings[0], "parts": rings} if rings else {}


def _keypoints(points: list[list[float]]) -> list[list[float | None]]:
    """Give a point that has no visibility a null one."""
    return [[*point, None][:3] for point in points]
