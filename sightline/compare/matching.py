"""Which detection of the one result is which of the other.

Greedy, the best overlap first: a pair that overlaps more is never given up for one that overlaps less. An optimal
assignment could make a pair more where objects of a class crowd; it would make worse pairs to do so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from processors.infer.boxes import box_iou
from sightline.compare.pair import Found


@dataclass(frozen=True, slots=True)
class Matching:
    """Places in the old and in the new list.

    `matched` are of one class. `reclassified` overlap as much, and are of two; they are in `lost` and `gained` too.
    """

    matched: tuple[tuple[int, int], ...]
    lost: tuple[int, ...]
    gained: tuple[int, ...]
    reclassified: tuple[tuple[int, int], ...] = ()


def match_found(old: Sequence[Found], new: Sequence[Found], least_iou: float) -> Matching:
    """Pair detections of one class whose boxes have at least this IoU, then what is left across classes.

    Exchanging old and new exchanges `lost` and `gained`, and turns the pairs round.
    """
    if old == new:
        return Matching(tuple((place, place) for place in range(len(old))), (), ())
    overlaps = box_iou(_boxes(old), _boxes(new))
    close = [(i, j) for i, j in np.argwhere(overlaps >= least_iou).tolist() if overlaps[i, j] > 0]
    close.sort(key=lambda pair: (-overlaps[pair], *_order(old[pair[0]], new[pair[1]])))
    matched = _take([pair for pair in close if old[pair[0]].class_name == new[pair[1]].class_name])
    lost = _left(len(old), {i for i, _ in matched})
    gained = _left(len(new), {j for _, j in matched})
    free_old, free_new = set(lost), set(gained)
    reclassified = _take([(i, j) for i, j in close if i in free_old and j in free_new])
    return Matching(matched, lost, gained, reclassified)


def _order(one: Found, other: Found) -> tuple[Any, ...]:
    """Decide among equal overlaps, by what stays the same when the sides are exchanged; the more confident first."""
    first, second = sorted((found.confidence, found.bbox, found.class_name) for found in (one, other))
    return -(one.confidence + other.confidence), first, second


def _take(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Take pairs in their order, each place once."""
    old: set[int] = set()
    new: set[int] = set()
    taken = []
    for i, j in pairs:
        if i not in old and j not in new:
            old.add(i)
            new.add(j)
            taken.append((i, j))
    return tuple(taken)


def _left(count: int, taken: set[int]) -> tuple[int, ...]:
    return tuple(place for place in range(count) if place not in taken)


def _boxes(found: Sequence[Found]) -> Any:
    return np.array([one.bbox for one in found], np.float64).reshape(-1, 4)
