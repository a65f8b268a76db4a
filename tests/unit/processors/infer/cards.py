"""Cards and prepared pictures for tests of the heads."""

from typing import Any

import numpy as np

from processors.infer.interface import Floats, Prepared
from schemas.modelcard import Keypoints, ModelCard, Task, Thresholds

ASKED = Thresholds(confidence=0.25, iou=0.5, max_detections=300)


def card(task: Task, classes: tuple[str, ...] = ("cat", "dog"), **changes: Any) -> ModelCard:
    fields: dict[str, Any] = {
        "name": "tested",
        "version": "1",
        "task": task,
        "files": {"model.onnx": "0" * 64},
        "classes": classes,
        "input_wh": (64, 64),
        "licence": "Apache-2.0",
    }
    if task is Task.POSE:
        fields["keypoints"] = Keypoints(count=2)
    return ModelCard.model_validate(fields | changes)


def prepared(
    original_wh: tuple[int, int] = (64, 64), scale: float = 1.0, offset_xy: tuple[float, float] = (0.0, 0.0)
) -> Prepared:
    return Prepared(np.zeros((64, 64, 3), np.uint8), original_wh, (scale, scale), offset_xy)


def anchors(*rows: list[float]) -> Floats:
    """Make one picture's output [1, numbers, anchors] of rows centre x, centre y, width, height, scores, extras."""
    return np.array(rows, np.float32).T[None]
