"""A frame's picture with what the old and the new result say drawn over it."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import cv2
import numpy as np

from processors.decode.pictures import Pixels, decode_picture
from processors.draw import draw_on
from processors.draw.thumbnail import thumbnail
from processors.inspect import inspect_picture
from schemas.frame import Frame, Origin
from schemas.pipeline import InputRules, MediaType
from schemas.result import Result
from sightline.compare.change import Change

MAX_BYTES: Final = 64 * 1024 * 1024
_RULES: Final = InputRules(media_types=tuple(MediaType), max_bytes=MAX_BYTES)
_NO_TIME: Final = datetime.fromtimestamp(0, UTC)
_SHOWN_SIDE: Final = 640


def draw_sides(data: bytes, change: Change, old: Result, new: Result) -> tuple[bytes, bytes]:
    """Return two JPEGs: the old answer and the new one. What is on one side only is named so.

    Raises InputError when the bytes are no picture that a worker would take. Blocks.
    """
    pixels = decode_picture(inspect_picture(Frame("", "", "", _NO_TIME, Origin("", 0, 0), data, None), _RULES))
    sides = ((old, "lost", change.matching.lost), (new, "new", change.matching.gained))
    first, second = (_draw(pixels, result, word, alone) for result, word, alone in sides)
    return first, second


def _draw(pixels: Pixels, result: Result, word: str, alone: Collection[int]) -> bytes:
    drawn = _as_analysed(pixels, result)
    detections = result.detections or []
    labels = [
        f"{f'{word}: ' if place in alone else ''}{one.class_name} {one.confidence:.2f}"
        for place, one in enumerate(detections)
    ]
    draw_on(drawn, detections, labels=labels, headline=headline(result))
    return thumbnail(drawn, _SHOWN_SIDE)


def headline(result: Result) -> str:
    """Say the answer in a few words."""
    said = result.classification
    label = said is not None and f"{said.label} {said.probability:.3f}"
    score = result.score is not None and f"{result.score:.1f}"
    return "  ".join(part for part in (result.verdict, label, score) if part) or "no verdict"


def _as_analysed(pixels: Pixels, result: Result) -> Pixels:
    """Return a copy in the size that the result's coordinates are for: an archived copy may be smaller."""
    image = result.image
    if image is None or pixels.shape[1::-1] == (image.width, image.height):
        return pixels.copy()
    resized = cv2.resize(pixels, (image.width, image.height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
