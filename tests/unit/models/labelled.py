"""Labelled data sets on which the drawn models of `tests.models` are right, or wrong in a way that a test chooses."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.models import BOXES, SIZE, Box
from tests.pictures import encode

NAMES = ("first", "second")
LEVELS = (230, 180, 130)  # of grey, from which a detector's confidence follows


def grey(level: int, side: int = SIZE) -> bytes:
    return encode(".png", np.full((side, side, 3), level, np.uint8))


def label_lines(boxes: Sequence[Box] = BOXES, classes: Sequence[int] = (0, 1), side: int = SIZE) -> str:
    rows = zip(classes, boxes, strict=True)
    return "".join(f"{number} {' '.join(f'{value / side:.6f}' for value in box)}\n" for number, box in rows)


def write_detections(folder: Path, split: str = "val", levels: Sequence[int] = LEVELS, labels: str = "") -> Path:
    """Write one picture a level, each with the objects that a detector finds; returns the `data.yaml`."""
    pictures, texts = folder / "images" / split, folder / "labels" / split
    pictures.mkdir(parents=True)
    texts.mkdir(parents=True)
    for number, level in enumerate(levels):
        (pictures / f"{number:04}.png").write_bytes(grey(level))
        (texts / f"{number:04}.txt").write_text(labels or label_lines())
    file = folder / "data.yaml"
    file.write_text(f"train: images/train\nval: images/val\nnames: [{', '.join(NAMES)}]\n")
    return file


def write_classes(folder: Path, counts: Sequence[int], split: str = "val") -> Path:
    """Write so many pictures of each class, each of another level of grey; returns the folder."""
    level = 60
    for name, count in zip(NAMES, counts, strict=True):
        (folder / split / name).mkdir(parents=True)
        for number in range(count):
            level += 1
            (folder / split / name / f"{number:04}.png").write_bytes(grey(level))
    return folder
