"""Non-maximum suppression: of boxes of one class that overlap, the one of highest score stays."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.infer.interface import Floats

MAX_CANDIDATES: Final = 30_000
# Boxes of different classes are moved apart by more than any input is wide; the value decides how float32 rounds
# near the IoU threshold, so it is ultralytics' own.
_CLASS_OFFSET: Final = 7680

Indices = NDArray[np.intp]


def by_falling_score(scores: Floats, limit: int) -> Indices:
    """Return the indices of at most `limit` scores, highest first; equal ones keep their order."""
    return np.argsort(-scores, kind="stable")[:limit]


def suppress(boxes_xyxy: Floats, scores: Floats, classes: Indices, iou: float, limit: int) -> Indices:
    """Return the indices of the boxes that stay, by falling score, at most `limit`.

    A box goes where its IoU with one that stays, of the same class, is above `iou`. At most MAX_CANDIDATES are looked
    at. Boxes without an area suppress nothing.
    """
    left = by_falling_score(scores, MAX_CANDIDATES)
    moved = boxes_xyxy + (classes * _CLASS_OFFSET).astype(np.float32)[:, None]
    areas = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    kept: list[int] = []
    while left.size and len(kept) < limit:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        left = left[~(_iou(moved, areas, best, left) > iou)]
    return np.array(kept, np.intp)


def _iou(boxes: Floats, areas: Floats, one: int, others: Indices) -> Floats:
    """Return the IoU of one box with others; NaN where neither has an area."""
    theirs, own = boxes[others], boxes[one]
    wide = np.minimum(theirs[:, 2], own[2]) - np.maximum(theirs[:, 0], own[0])
    high = np.minimum(theirs[:, 3], own[3]) - np.maximum(theirs[:, 1], own[1])
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = shared / (areas[others] + areas[one] - shared)
    return ratio
