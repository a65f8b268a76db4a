"""What all heads that look at pictures share: fitting a picture into the input, and joining a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, cast

import cv2
import numpy as np

from processors.decode.pictures import Pixels
from processors.infer.interface import Floats, Prepared
from processors.infer.letterbox import Placement, place
from processors.infer.normalise import normalise
from processors.infer.resize import (
    Interpolation,
    Size,
    centre_offset,
    put_at,
    resize,
    resize_part,
    shortest_edge_wh,
)
from schemas.modelcard import ModelCard

# Pixels. A picture of 1 x 30,000 whose shorter edge becomes 224 has 1.5 thousand million.
_LARGE: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class PictureHead:
    """The first half of a head; each task adds `read`."""

    card: ModelCard

    def prepare(self, bgr: Pixels) -> Prepared:
        """See Head. Blocks for the resizing: 0.2 to 10 ms, by the picture's size and the interpolation."""
        preprocessing = self.card.preprocessing
        picture_wh = (bgr.shape[1], bgr.shape[0])
        placement = _placement(self.card, picture_wh)
        resized, offset = _resized(bgr, placement, preprocessing.interpolation)
        fitted = put_at(resized, offset, placement.frame_wh, preprocessing.pad_value)
        if preprocessing.channel_order == "rgb":
            fitted = cast("Pixels", cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB))
        width, height = placement.resized_wh
        scale_xy = (width / picture_wh[0], height / picture_wh[1])
        left, top = placement.offset
        return Prepared(fitted, picture_wh, scale_xy, (float(left), float(top)))

    def stack(self, batch: Sequence[Prepared]) -> Floats:
        """See Head. Always float32: an engine whose input is float16 casts."""
        return normalise(batch, self.card.preprocessing)


def _resized(bgr: Pixels, placement: Placement, interpolation: Interpolation) -> tuple[Pixels, Size]:
    """Resize; of what would be large, only the part that the frame shows. Returns also where it lies in the frame."""
    width, height = placement.resized_wh
    if width * height <= max(_LARGE, 4 * prod(placement.frame_wh)):
        return resize(bgr, placement.resized_wh, interpolation), placement.offset
    (left, top), (frame_width, frame_height) = placement.offset, placement.frame_wh
    part = (max(-left, 0), max(-top, 0), min(frame_width - left, width), min(frame_height - top, height))
    return resize_part(bgr, placement.resized_wh, part, interpolation), (max(left, 0), max(top, 0))


def to_original(points_xy: Floats, prepared: Prepared) -> Floats:
    """Bring points (..., 2) of the input to pixels of the original, clipped to the picture."""
    offset, scale = (np.array(pair, np.float32) for pair in (prepared.offset_xy, prepared.scale_xy))
    moved = (points_xy - offset) / scale
    clipped: Floats = np.clip(moved, 0, np.array(prepared.original_wh, np.float32))
    return clipped


def _placement(card: ModelCard, picture_wh: tuple[int, int]) -> Placement:
    match card.preprocessing.resize:
        case "letterbox":
            return place(picture_wh, card.input_wh, card.stride if card.rect else None)
        case "stretch":
            return Placement(card.input_wh, (0, 0), card.input_wh)
        case "shortest-edge":
            resized = shortest_edge_wh(picture_wh, card.preprocessing.resize_to or min(card.input_wh))
            return Placement(resized, centre_offset(resized, card.input_wh), card.input_wh)
