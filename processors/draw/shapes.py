"""Boxes, outlines, fills and skeletons, drawn in place.

Coordinates are pixels of the picture; a whole number is the centre of a pixel. What lies outside is drawn on the edge.
"""

from collections.abc import Sequence
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.decode.pictures import Pixels
from processors.draw.colours import Colour, ink_on

MIN_VISIBILITY = 0.5  # of a keypoint that is drawn
FILL_SHARE = 0.35
_FRACTION_BITS = 4  # OpenCV draws to a sixteenth of a pixel
_PIXELS_PER_WIDTH = 900  # of the picture's diagonal, for each pixel of a line's width
_BAND_PIXELS = 1024 * 1024

Ring = Sequence[Sequence[float]]
Fixed = NDArray[np.int32]


def line_width(bgr: Pixels) -> int:
    """Return the width of an outline in pixels: 1 up to a megapixel, then in proportion to the picture's sides."""
    return max(round(hypot(*bgr.shape[:2]) / _PIXELS_PER_WIDTH), 1)


def fill_rings(bgr: Pixels, rings: Sequence[Ring], colour: Colour) -> None:
    """Tint what lies within the rings. Needs one byte for each pixel of their box, and some megabytes."""
    fixed = [_fixed(bgr, ring) for ring in rings if ring]
    if not fixed:
        return
    corners = np.concatenate(fixed) >> _FRACTION_BITS
    left, top = corners.min(axis=0).tolist()
    right, bottom = (corners.max(axis=0) + 2).tolist()
    window = bgr[top:bottom, left:right]
    mask = np.zeros(window.shape[:2], np.uint8)
    shift = np.array([left, top], np.int32) << _FRACTION_BITS
    for ring in fixed:  # one by one: together, what two of them cover would count as outside
        cv2.fillPoly(mask, [ring - shift], 255.0, shift=_FRACTION_BITS)
    _tint(window, mask, colour)


def _tint(window: Pixels, mask: Pixels, colour: Colour) -> None:
    """Mix a colour in where the mask is set; in bands of rows, since three copies are needed for it."""
    rows = max(_BAND_PIXELS // window.shape[1], 1)
    for first in range(0, window.shape[0], rows):
        band = window[first : first + rows]
        tinted = cv2.addWeighted(band, 1 - FILL_SHARE, np.full_like(band, colour), FILL_SHARE, 0)
        cv2.copyTo(tinted, mask[first : first + rows], band)


def draw_outline(bgr: Pixels, ring: Ring, colour: Colour) -> None:
    """Draw a closed line along a ring. One pixel wide, it lies within a pixel of the ring and leaves no gap."""
    if ring:
        # LINE_4, since OpenCV's default strays by up to 1.1 pixels.
        cv2.polylines(bgr, [_fixed(bgr, ring)], True, colour, line_width(bgr), cv2.LINE_4, _FRACTION_BITS)


def draw_box(bgr: Pixels, box_xyxy: Sequence[float], colour: Colour) -> None:
    """Draw a box [x1, y1, x2, y2]."""
    x1, y1, x2, y2 = box_xyxy
    first, second = _fixed(bgr, [(x1, y1), (x2, y2)]).tolist()
    cv2.rectangle(bgr, first, second, colour, 2 * line_width(bgr), shift=_FRACTION_BITS)


def draw_points(
    bgr: Pixels, keypoints: Sequence[Sequence[float | None]], skeleton: Sequence[tuple[int, int]], colour: Colour
) -> None:
    """Draw the keypoints [x, y, visibility] that can be seen, and the bones of which both ends can be.

    Bones have a dark or light edge, and points a contrasting middle: they are seen on any background.
    """
    width = line_width(bgr)
    places = {
        index: _fixed(bgr, [(row[0] or 0.0, row[1] or 0.0)])[0].tolist()
        for index, row in enumerate(keypoints)
        if _seen(row)
    }
    bones = [(places[first], places[second]) for first, second in skeleton if first in places and second in places]
    edge = ink_on(colour)
    for extra, ink in ((2 * width, edge), (0, colour)):
        for start, end in bones:
            cv2.line(bgr, start, end, ink, 2 * width + extra, cv2.LINE_AA, _FRACTION_BITS)
    for place in places.values():
        for radius, ink in ((3 * width, edge), (2 * width, colour)):
            cv2.circle(bgr, place, radius * 2**_FRACTION_BITS, ink, -1, cv2.LINE_AA, _FRACTION_BITS)


def _seen(row: Sequence[float | None]) -> bool:
    visibility = row[2] if len(row) > 2 else None  # noqa: PLR2004
    return visibility is None or visibility >= MIN_VISIBILITY


def _fixed(bgr: Pixels, points: Ring) -> Fixed:
    """Return points within the picture, in sixteenths of a pixel, as OpenCV wants them."""
    height, width = bgr.shape[:2]
    inside = np.clip(np.asarray(points, np.float64).reshape(-1, 2), 0, [width - 1, height - 1])
    fixed: Fixed = np.round(inside * 2**_FRACTION_BITS).astype(np.int32)
    return fixed
