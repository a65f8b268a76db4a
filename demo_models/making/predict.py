"""What the trained models find on scenes, by the tools that trained them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from ultralytics import YOLO
from ultralytics.engine.results import Results

from demo_models.making.classify import prepare, to_input
from demo_models.making.scene import Points, Scene
from demo_models.making.score import Found

_LEAST_SCORE = 0.01
_MOST_FOUND = 50


def find(model: Path, task: str, scenes: Sequence[Scene]) -> list[list[Found]]:
    """Return the detections of a detector, segmenter or pose model (ONNX or checkpoint) on each scene."""
    yolo = YOLO(model, task=task)
    settings = {"imgsz": 320, "conf": _LEAST_SCORE, "max_det": _MOST_FOUND, "rect": False, "retina_masks": True}
    answers = (yolo.predict(scene.picture_bgr, device="cpu", verbose=False, **settings)[0] for scene in scenes)
    return [list(_found(answer)) for answer in answers]


def classify(model: Path, rows: Points) -> Points:
    """Return the logits of a classifier (ONNX) for its inputs."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: rows[start : start + 32]})[0] for start in range(0, len(rows), 32)]
    return np.concatenate(parts).astype(np.float32)


def face_inputs(scenes: Sequence[Scene]) -> Points:
    """Return the portraits as the classifier's input (n, 3, 380, 380)."""
    return np.asarray(to_input(np.stack([prepare(scene.picture_bgr) for scene in scenes])).numpy(), dtype=np.float32)


def _found(answer: Results) -> Iterator[Found]:
    boxes = answer.boxes
    if boxes is None:
        return
    for index in range(len(boxes)):
        x1, y1, x2, y2 = (float(value) for value in boxes.xyxy[index])
        yield Found(
            label=answer.names[int(boxes.cls[index])],
            score=float(boxes.conf[index]),
            box_xyxy=(x1, y1, x2, y2),
            mask=None if answer.masks is None else np.asarray(answer.masks.data[index]) > 0.5,
            points=None if answer.keypoints is None else np.asarray(answer.keypoints.data[index], np.float32),
        )
