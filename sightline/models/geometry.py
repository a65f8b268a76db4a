"""How alike two shapes are: masks as rings, keypoints; boxes stand in `processors/infer/boxes.py`."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Rings = Sequence[Doubles]  # each n x 2, pixels; a point is inside where an odd number of rings go round it

# Standard deviations of people's own labels for the 17 points of a person, published with the COCO key points.
COCO_SIGMAS: Final = (
    np.array([0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89])
    / 10.0
)
# COCO divides by an object's area; of a box about this share is the object.
_OBJECT_SHARE_OF_BOX: Final = 0.53
_EPSILON: Final = 1e-9
_FRACTION_BITS: Final = 8


def mask_iou(first: Rings, second: Rings, resolution: int = 256) -> float:
    """Return the IoU of two masks that are given as rings.

    Both are drawn into the box that holds them, with its longer side at `resolution` samples, so that the
    precision does not depend on how large the object is in the picture. 0 where both are empty.
    """
    points = [ring for ring in (*first, *second) if len(ring)]
    if not points:
        return 0.0
    low = np.min([ring.min(axis=0) for ring in points], axis=0)
    high = np.max([ring.max(axis=0) for ring in points], axis=0)
    scale = (resolution - 1) / max(float((high - low).max()), _EPSILON)
    width, height = (np.ceil((high - low) * scale).astype(int) + 1).tolist()
    drawn = [_draw(rings, low, scale, (height, width)) for rings in (first, second)]
    union = np.count_nonzero(drawn[0] | drawn[1])
    return float(np.count_nonzero(drawn[0] & drawn[1]) / union) if union else 0.0


def sigmas(count: int) -> Doubles:
    """Return the deviations that OKS uses for so many keypoints: COCO's for 17, else the same for each, 1/count."""
    return COCO_SIGMAS if count == len(COCO_SIGMAS) else np.full(count, 1.0 / count)


def keypoint_similarity(truth: Doubles, bbox: Sequence[float], found: Doubles) -> float:
    """Return COCO's object keypoint similarity (OKS): mean of exp(-d^2 / (2 area (2 sigma)^2)) over labelled points.

    `truth` is n x 3 ([x, y, visibility], 0 is not labelled) with its box [x1, y1, x2, y2]; `found` n x 2 or more.
    The area is 0.53 of the box's. 0 where no point is labelled.
    """
    labelled = truth[:, 2] > 0
    if not labelled.any():
        return 0.0
    area = max((bbox[2] - bbox[0]) * (bbox[3] - bbox[1]) * _OBJECT_SHARE_OF_BOX, _EPSILON)
    squared = np.sum((truth[:, :2] - found[:, :2]) ** 2, axis=1)
    exponent = squared / (2 * area * (2 * sigmas(len(truth))) ** 2)
    return float(np.mean(np.exp(-exponent[labelled])))


def _draw(rings: Rings, low: Doubles, scale: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    canvas = np.zeros(shape, np.uint8)
    fixed = [np.round((ring - low) * (scale * 2**_FRACTION_BITS)).astype(np.int32) for ring in rings if len(ring)]
    if fixed:
        cv2.fillPoly(canvas, fixed, (1,), shift=_FRACTION_BITS)
    return canvas.astype(bool)
