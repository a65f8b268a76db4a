"""Resizing: OpenCV's linear, or Pillow's filters, which look at every pixel that they shrink."""

from collections.abc import Mapping
from typing import Final, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processors.decode.pictures import Pixels

Interpolation = Literal["linear", "bilinear", "bicubic", "lanczos"]
Size = tuple[int, int]
Part = tuple[int, int, int, int]

_PILLOW_FILTERS: Final[Mapping[Interpolation, Image.Resampling]] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resize(pixels: Pixels, wh: Size, interpolation: Interpolation) -> Pixels:
    """Resize uint8 pixels (height x width x 3, any channel order) to (width, height); the same size is not copied."""
    if pixels.shape[1::-1] == wh:
        return pixels
    if interpolation == "linear":
        return cast("Pixels", cv2.resize(pixels, wh, interpolation=cv2.INTER_LINEAR))
    # Pillow treats channels alike, so it may take BGR for RGB.
    return np.asarray(Image.fromarray(pixels).resize(wh, _PILLOW_FILTERS[interpolation]))


def resize_part(pixels: Pixels, wh: Size, part: Part, interpolation: Interpolation) -> Pixels:
    """Return the part [x1, y1, x2, y2] of what `resize` to `wh` would give, without making the rest.

    The pixels are the same up to rounding, of places as well: they differ by 3 grey levels at most.
    """
    height, width = pixels.shape[:2]
    across, down = width / wh[0], height / wh[1]
    x1, y1, x2, y2 = part
    if interpolation == "linear":
        columns = _linear_places(x1, x2, across, width)
        rows = _linear_places(y1, y2, down, height)
        # cv2.remap takes no picture of more than 32,767 pixels a side.
        left, top = int(columns[0]), int(rows[0])
        needed = pixels[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2]
        places = np.meshgrid((columns - left).astype(np.float32), (rows - top).astype(np.float32))
        return cast("Pixels", cv2.remap(needed, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    box = (x1 * across, y1 * down, min(x2 * across, width), min(y2 * down, height))
    return np.asarray(Image.fromarray(pixels).resize((x2 - x1, y2 - y1), _PILLOW_FILTERS[interpolation], box))


def _linear_places(first: int, end: int, scale: float, length: int) -> NDArray[np.float64]:
    """Return between which pixels of the original those of the resized picture lie."""
    return np.clip((np.arange(first, end) + 0.5) * scale - 0.5, 0, length - 1)


def shortest_edge_wh(wh: Size, edge: int) -> Size:
    """Return the size whose shorter side is `edge`, the longer one cut to whole pixels as torchvision does."""
    width, height = wh
    if width <= height:
        return edge, max(int(edge * height / width), 1)
    return max(int(edge * width / height), 1), edge


def centre_offset(wh: Size, target_wh: Size) -> Size:
    """Return where a picture's corner lies in a target that is cut out of its centre; below zero where it is cut.

    Half pixels are rounded to even before the sign is turned, as in torchvision's centre crop.
    """
    return -round((wh[0] - target_wh[0]) / 2), -round((wh[1] - target_wh[1]) / 2)


def put_at(pixels: Pixels, offset: Size, target_wh: Size, fill: int) -> Pixels:
    """Return a picture of `target_wh` with `pixels` at `offset`: cut where they stick out, `fill` where they end."""
    (left, top), (width, height) = offset, target_wh
    cut = pixels[max(-top, 0) : height - top, max(-left, 0) : width - left]
    if cut.shape[1::-1] == target_wh:
        return np.ascontiguousarray(cut)
    canvas = np.full((height, width, 3), fill, np.uint8)
    top, left = max(top, 0), max(left, 0)
    canvas[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return canvas
