"""Boxes against boxes."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Box = Sequence[float]  # [x1, y1, x2, y2]
Doubles = NDArray[np.float64]

_EPSILON: Final = 1e-9


def box_iou(first: Doubles, second: Doubles) -> Doubles:
    """Return the IoU of each of n boxes with each of m (rows [x1, y1, x2, y2]): n x m, 0 where both are empty."""
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - common
    return np.asarray(common / np.maximum(union, _EPSILON))


def iou(one: Box, other: Box) -> float:
    """Return the intersection over the union of two boxes, 0 where both are empty."""
    return float(box_iou(np.array([one], np.float64), np.array([other], np.float64))[0, 0])


def match_boxes(
    before: Sequence[tuple[str, Box]], after: Sequence[tuple[str, Box]], least_iou: float
) -> list[tuple[int, int, float]]:
    """Pair boxes of one class, best overlap first: (index before, index after, IoU) of each pair."""
    overlaps = box_iou(_rows(before), _rows(after))
    pairs = [
        (float(overlaps[i, j]), i, j)
        for i, j in np.argwhere(overlaps >= least_iou).tolist()
        if before[i][0] == after[j][0]
    ]
    taken_before: set[int] = set()
    taken_after: set[int] = set()
    matched = []
    for overlap, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if i not in taken_before and j not in taken_after:
            taken_before.add(i)
            taken_after.add(j)
            matched.append((i, j, overlap))
    return matched


def _rows(named: Sequence[tuple[str, Box]]) -> Doubles:
    return np.array([box for _, box in named], np.float64).reshape(-1, 4)
