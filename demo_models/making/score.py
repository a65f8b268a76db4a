"""Average precision at IoU (or OKS) 0.5, as COCO defines it, over scenes with exact truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from demo_models.making.scene import Mask, Points, Scene, Thing

LIMIT = 0.5
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """One detection: as a Thing, with a score, and its mask over the whole picture where it has one."""

    label: str
    score: float
    box_xyxy: tuple[float, float, float, float]
    mask: Mask | None = None
    points: Points | None = None


Likeness = Callable[[Scene, Sequence[Thing], Sequence[Found]], Matrix]


def mean_average_precision(
    scenes: Sequence[Scene], found: Sequence[Sequence[Found]], labels: Sequence[str], likeness: Likeness
) -> float:
    """Return the mean over the classes that occur of the average precision at likeness 0.5."""
    scores = [_average_precision(scenes, found, label, likeness) for label in labels]
    occurring = [score for score in scores if score is not None]
    return float(np.mean(occurring))


def box_likeness(_: Scene, things: Sequence[Thing], found: Sequence[Found]) -> Matrix:
    """Return the IoU of each detection (rows) with each thing (columns) by their boxes."""
    a = np.array([one.box_xyxy for one in found], np.float64).reshape(-1, 1, 4)
    b = np.array([one.box_xyxy for one in things], np.float64).reshape(1, -1, 4)
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    shared = sides.prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (a, b)]
    return np.asarray(shared / (areas[0] + areas[1] - shared + 1e-9))


def mask_likeness(scene: Scene, things: Sequence[Thing], found: Sequence[Found]) -> Matrix:
    """Return the IoU of each detection with each thing by their masks."""
    shape = scene.picture_bgr.shape[:2]
    wanted = [_filled(thing.parts, shape) for thing in things]
    empty = np.zeros(shape, np.bool_)
    masks = [empty if one.mask is None else one.mask for one in found]
    ious = [[(a & b).sum() / max(1, (a | b).sum()) for b in wanted] for a in masks]
    return np.array(ious, np.float64).reshape(len(found), len(things))


def oks_likeness(_: Scene, things: Sequence[Thing], found: Sequence[Found]) -> Matrix:
    """Return the object keypoint similarity, with ultralytics' constants: sigma 1 / points, area 0.53 of the box."""
    likeness = np.zeros((len(found), len(things)))
    for column, thing in enumerate(things):
        if thing.points is None:
            continue
        x1, y1, x2, y2 = thing.box_xyxy
        spread = 2 * (2 / len(thing.points)) ** 2 * (x2 - x1) * (y2 - y1) * 0.53
        for row, one in enumerate(found):
            if one.points is not None:
                far = ((one.points[:, :2] - thing.points[:, :2]) ** 2).sum(axis=1)
                likeness[row, column] = np.exp(-far / spread).mean()
    return likeness


def _filled(parts: Sequence[Points], shape: tuple[int, ...]) -> Mask:
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.round(part).astype(np.int32) for part in parts], 1)
    return canvas.astype(np.bool_)


def _average_precision(
    scenes: Sequence[Scene], found: Sequence[Sequence[Found]], label: str, likeness: Likeness
) -> float | None:
    """Return the area under the precision-recall curve (101 points) of one class; None where it does not occur."""
    hits: list[tuple[float, bool]] = []
    total = 0
    for scene, all_found in zip(scenes, found, strict=True):
        things = [thing for thing in scene.things if thing.label == label]
        ours = sorted((one for one in all_found if one.label == label), key=lambda one: -one.score)
        total += len(things)
        hits += zip([one.score for one in ours], _matched(likeness(scene, things, ours)), strict=True)
    if total == 0:
        return None
    hits.sort(key=lambda hit: -hit[0])
    right = np.cumsum([hit for _, hit in hits])
    recall = right / total
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, 101))
    return float(np.mean([envelope[place] if place < len(envelope) else 0.0 for place in places]))


def _matched(likeness: Matrix) -> list[bool]:
    """Give each detection, best score first, the likest thing that is still free."""
    free = np.ones(likeness.shape[1], np.bool_)
    matched = []
    for row in likeness:
        best = int(np.argmax(np.where(free, row, -1))) if free.any() else -1
        hit = best >= 0 and bool(row[best] >= LIMIT)
        if hit:
            free[best] = False
        matched.append(hit)
    return matched
