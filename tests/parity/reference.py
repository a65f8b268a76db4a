"""What ultralytics itself answers. A program for an interpreter that has it; our own code has no part in the answers.

    PYTHON tests/parity/reference.py QUESTIONS.json ANSWERS.json

Questions: {"model": FILE.onnx, "task": …, "size": [width, height], "rect": bool, "pictures": [{"file", "confidence",
"iou", "max_detections"}]}. Answers repeat the settings and add what `predict` finds, in pixels of the upright original.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
import ultralytics
from ultralytics import YOLO


def answer(questions: dict[str, Any]) -> dict[str, Any]:
    """Ask ultralytics about each picture on its own."""
    torch.set_num_threads(1)
    model = Path(questions["model"])
    width, height = questions["size"]
    yolo = YOLO(model, task=questions["task"])
    return {
        "ultralytics": ultralytics.__version__,
        "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "task": questions["task"],
        "size": questions["size"],
        "rect": questions["rect"],
        "pictures": [_one(yolo, picture, [height, width], rect=questions["rect"]) for picture in questions["pictures"]],
    }


def _one(yolo: Any, picture: dict[str, Any], size: list[int], *, rect: bool) -> dict[str, Any]:
    (result,) = yolo.predict(
        picture["file"],
        conf=picture["confidence"],
        iou=picture["iou"],
        max_det=picture["max_detections"],
        imgsz=size,
        rect=rect,
        device="cpu",
        verbose=False,
    )
    height, width = result.orig_shape
    said = {**picture, "file": Path(picture["file"]).name, "wh": [width, height]}
    if result.probs is not None:
        return {**said, "probabilities": _rounded(result.probs.data, 6)}
    return {**said, "detections": _detections(result)}


def _detections(result: Any) -> list[dict[str, Any]]:
    boxes = result.boxes
    found: list[dict[str, Any]] = [
        {"class_id": int(index), "confidence": score, "bbox": box}
        for index, score, box in zip(boxes.cls, _rounded(boxes.conf, 6), _rounded(boxes.xyxy, 3), strict=True)
    ]
    if result.masks is not None:
        for one, ring in zip(found, result.masks.xy, strict=True):
            one["polygon"] = _rounded(torch.from_numpy(ring), 2)
    if result.keypoints is not None:
        for one, points in zip(found, result.keypoints.data, strict=True):
            one["keypoints"] = _rounded(points, 3)
    return found


def _rounded(values: torch.Tensor, decimals: int) -> Any:
    return torch.round(values.double(), decimals=decimals).tolist()


def main() -> None:
    """See the module."""
    questions, answers = map(Path, sys.argv[1:])
    answers.write_text(json.dumps(answer(json.loads(questions.read_text()))))


if __name__ == "__main__":
    main()
