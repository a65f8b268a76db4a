"""Measures polygons: area, crossings of a ring with itself, distance from the picture's edge.

Rings are lists of [x, y] in pixels of the upright picture, closed without repeating the first point.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.result import Detection

Ring = Sequence[Sequence[float]]
Points = NDArray[np.int64]
# Results carry two decimals: in hundredths of a pixel all arithmetic is exact.
_UNITS = 100
# Pairs of edges looked at together, at some dozens of bytes each.
_PAIRS = 500_000


def rings_of(detection: Detection) -> list[list[list[float]]]:
    """Return the separate rings of a detection's mask: its parts, else its polygon, else none."""
    if detection.parts:
        return detection.parts
    return [detection.polygon] if detection.polygon else []


def area_of(rings: Sequence[Ring]) -> float:
    """Return the sum of the rings' areas in square pixels (shoelace formula)."""
    return float(sum(_area(ring) for ring in rings))


def _area(ring: Ring) -> float:
    if not ring:
        return 0.0
    x, y = np.asarray(ring, np.float64).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def reaches_edge(rings: Sequence[Ring], size_wh: tuple[int, int], margin: float) -> bool:
    """Tell whether a point lies outside the picture or within `margin` pixels of its edge.

    The edge runs through the outermost pixels' centres, at 0 and at width - 1 or height - 1.
    """
    width, height = size_wh
    right, bottom = width - 1 - margin, height - 1 - margin
    return any(min(x, y) < margin or x > right or y > bottom for ring in rings for x, y in ring)


def crosses_itself(ring: Ring) -> bool:
    """Tell whether a ring's line passes through itself, so that inside and outside are not defined.

    To touch itself is allowed: contours of masks run twice along what is one pixel wide, and meet in a point where
    two pixels do. Exact for coordinates with two decimals.
    """
    points = _distinct(np.round(np.asarray(ring, np.float64).reshape(-1, 2) * _UNITS).astype(np.int64))
    count = len(points)
    if count < 4:  # noqa: PLR2004 - a triangle cannot
        return False
    for first, second in _near_pairs(points):
        after_first, after_second = (first + 1) % count, (second + 1) % count
        sides = (
            _side(points[first], points[after_first], points[second]),
            _side(points[first], points[after_first], points[after_second]),
            _side(points[second], points[after_second], points[first]),
            _side(points[second], points[after_second], points[after_first]),
        )
        if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
            return True
        if 0 in sides and _passes_at_a_point(points, first, second):
            return True
    return False


def _distinct(points: Points) -> Points:
    """Drop points that repeat the one before them."""
    return points[np.any(points != np.roll(points, 1, axis=0), axis=1)]


def _near_pairs(points: Points) -> Iterator[tuple[int, int]]:
    """Yield the pairs of edges (first < second, each from its point to the next) whose bounding boxes meet.

    Neighbours are left out: they always meet. Edges are swept from left to right, so that only those are compared
    whose boxes meet in x: a ring of thousands of short edges costs milliseconds.
    """
    following = np.roll(points, -1, axis=0)
    low, high = np.minimum(points, following), np.maximum(points, following)
    order = np.argsort(low[:, 0], kind="stable")
    low, high = low[order], high[order]
    count = len(points)
    behind = np.arange(1, count + 1)
    widths = np.searchsorted(low[:, 0], high[:, 0], side="right") - behind
    ends = np.cumsum(widths)
    start = 0
    while start < count:
        taken = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, taken + _PAIRS, side="right")), start + 1)
        ones = np.repeat(np.arange(start, stop), widths[start:stop])
        nth = np.arange(len(ones)) - np.repeat(ends[start:stop] - widths[start:stop] - taken, widths[start:stop])
        others = behind[ones] + nth
        meet = (low[others, 1] <= high[ones, 1]) & (high[others, 1] >= low[ones, 1])
        pairs = np.sort(np.stack([order[ones[meet]], order[others[meet]]], axis=1), axis=1)
        gaps = pairs[:, 1] - pairs[:, 0]
        yield from map(tuple, pairs[(gaps > 1) & (gaps < count - 1)].tolist())
        start = stop


def _side(start: Points, end: Points, point: Points) -> int:
    """Return 1, 0 or -1: on which side of the line from `start` to `end` a point lies."""
    (ax, ay), (bx, by), (px, py) = start.tolist(), end.tolist(), point.tolist()
    turn: int = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    return (turn > 0) - (turn < 0)


def _passes_at_a_point(points: Points, first: int, second: int) -> bool:
    """Tell whether the line passes through itself where an end of one edge lies on the other edge."""
    count = len(points)
    for vertex, edge in ((first, second), (second, first), (first + 1, second), (second + 1, first)):
        place = points[vertex % count]
        start, end = points[edge], points[(edge + 1) % count]
        if _side(start, end, place) or np.any(place < np.minimum(start, end)) or np.any(place > np.maximum(start, end)):
            continue
        before = points[edge - 1] if np.array_equal(place, start) else start
        after = points[(edge + 2) % count] if np.array_equal(place, end) else end
        if _cut_through(place, (before, after), (points[vertex % count - 1], points[(vertex + 1) % count])):
            return True
    return False


def _cut_through(place: Points, one: tuple[Points, Points], other: tuple[Points, Points]) -> bool:
    """Tell whether two lines that bend at `place` change sides there: their directions take turns around it."""
    angles = [float(np.arctan2(*(point - place)[::-1])) for point in (*one, *other)]
    start, end, *rest = angles
    if start in rest or end in rest or start == end:
        return False  # along each other: to which side they leave is not decided at this point
    turn = [(angle - start) % (2 * np.pi) for angle in (end, *rest)]
    return (turn[1] < turn[0]) != (turn[2] < turn[0])
