"""Masks: from coefficients and prototypes to rings of points, one object at a time and only inside its box.

All masks of a picture at once would be 490 MB (300 of 640 x 640, float32).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.infer.interface import Floats

Ring = NDArray[np.int32]
# Distances between points of two rings that are held at once: 4 MB for each of three steps.
_DISTANCES = 1_000_000


@dataclass(frozen=True, slots=True)
class Mask:
    """What of the input belongs to one object: uint8, 1 inside, and the pixel where its corner lies."""

    pixels: NDArray[np.uint8]
    corner_xy: tuple[int, int]


def mask_in_box(coefficients: Floats, prototypes: Floats, box_xyxy: Floats, input_wh: tuple[int, int]) -> Mask:
    """Return an object's mask inside its box, in pixels of the input.

    The weighted sum of the prototypes [count, height, width] is enlarged bilinearly to the input, of which it is a
    whole fraction; what is above zero belongs to the object. A pixel lies in the box by its index, not its centre.
    """
    across = _span(float(box_xyxy[0]), float(box_xyxy[2]), input_wh[0], prototypes.shape[2])
    down = _span(float(box_xyxy[1]), float(box_xyxy[3]), input_wh[1], prototypes.shape[1])
    corner = (across.first, down.first)
    if not (across.count and down.count):
        return Mask(np.zeros((0, 0), np.uint8), corner)
    needed = prototypes[:, down.coarse, across.coarse]
    logits = np.tensordot(coefficients, needed, axes=1)
    enlarged = cv2.resize(logits, (across.enlarged, down.enlarged), interpolation=cv2.INTER_LINEAR)
    inside = enlarged[down.skip : down.skip + down.count, across.skip : across.skip + across.count] > 0
    return Mask(inside.astype(np.uint8), corner)


def rings(mask: Mask) -> list[Ring]:
    """Return the outer ring of each piece as points (n, 2) of the input, holes filled; none for an empty mask.

    A piece of one pixel is a ring of one point.
    """
    if not mask.pixels.any():
        return []
    found, _ = cv2.findContours(mask.pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=mask.corner_xy)
    return [cast("Ring", ring.reshape(-1, 2)) for ring in found]


def join(pieces: Sequence[Ring]) -> Ring:
    """Join rings to one: each is bridged to the next where both are nearest, and the way back runs along the bridges.

    So the one ring encloses what the pieces enclose, with bridges of no width. A lone piece is returned as it is.
    """
    if len(pieces) == 1:
        return pieces[0]
    bridges = [_nearest(one, other) for one, other in pairwise(pieces)]
    entries = [0, *(there for _, there in bridges)]
    exits = [*(here for here, _ in bridges), entries[-1]]
    ways = list(zip(pieces, entries, exits, strict=True))
    there = [_walk(piece, entry, (leave - entry - 1) % len(piece) + 1) for piece, entry, leave in ways]
    back = [_walk(piece, leave, (entry - leave) % len(piece)) for piece, entry, leave in ways[:-1]]
    return np.concatenate([*there, *reversed(back)])


@dataclass(frozen=True, slots=True)
class _Span:
    """One axis of a box: its pixels in the input, and the prototypes' pixels that they are made of.

    `coarse`, enlarged, has `enlarged` pixels, of which those of the box are `count` from `skip` on.
    """

    first: int
    count: int
    coarse: slice
    enlarged: int
    skip: int


def _span(low: float, high: float, length: int, coarse_length: int) -> _Span:
    first, end = (min(max(math.ceil(side), 0), length) for side in (low, high))
    if end <= first:
        return _Span(first, 0, slice(0), 0, 0)
    times = length // coarse_length
    # A pixel lies between the centres of two coarse ones; at the picture's edge both are the same.
    coarse_first = max(math.floor((first + 0.5) / times - 0.5), 0)
    coarse_end = min(math.floor((end - 0.5) / times - 0.5) + 2, coarse_length)
    coarse = slice(coarse_first, coarse_end)
    return _Span(first, end - first, coarse, (coarse_end - coarse_first) * times, first - coarse_first * times)


def _nearest(one: Ring, other: Ring) -> tuple[int, int]:
    """Return the indices of the two points that are nearest, the first of equals."""
    rows = max(_DISTANCES // len(other), 1)
    found = [(first, *_nearest_in(one[first : first + rows], other)) for first in range(0, len(one), rows)]
    first, here, there, _ = min(found, key=lambda nearest: nearest[3])
    return first + here, there


def _nearest_in(one: Ring, other: Ring) -> tuple[int, int, int]:
    """Return the indices of the two points, and the square of their distance."""
    across = one[:, 0, None] - other[:, 0]
    down = one[:, 1, None] - other[:, 1]
    apart = across * across + down * down
    here, there = np.unravel_index(int(apart.argmin()), apart.shape)
    return int(here), int(there), int(apart[here, there])


def _walk(ring: Ring, start: int, steps: int) -> Ring:
    """Return the points that so many steps around a ring touch; all of them, and the first again, at its length."""
    return ring[np.arange(start, start + steps + 1) % len(ring)]
