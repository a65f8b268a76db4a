"""Labels: text on plates that stay inside the picture, and away from each other where there is room."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from processors.decode.pictures import Pixels
from processors.draw.colours import HEADLINE, Colour
from processors.draw.text import SMALLEST, Text, Writer

# Beyond that many a picture is so full that labels cover each other wherever they are.
_MOST_APART = 200
_SIZE_SHARE = 0.026  # of the root of the picture's pixels: 14 at 640 x 480
_HEADLINE_LARGER = 1.5

Rectangle = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True, slots=True)
class Label:
    """A text, the box [x1, y1, x2, y2] that it belongs to, and the colour of its plate."""

    text: str
    box_xyxy: Sequence[float]
    colour: Colour


def draw_labels(bgr: Pixels, labels: Sequence[Label], headline: str | None = None) -> None:
    """Draw labels, the first ones at the best places, in place. What does not fit into the picture is left out."""
    height, width = bgr.shape[:2]
    size = max(round(sqrt(width * height) * _SIZE_SHARE), SMALLEST)
    writer, taken = Writer(), list[Rectangle]()
    if headline and (text := writer.fit(headline, round(size * _HEADLINE_LARGER), (width, height))):
        writer.write(bgr, text, (0, 0), HEADLINE)
        taken.append((0, 0, *text.plate_wh))
    for label in labels:
        if text := writer.fit(label.text, size, (width, height)):
            place = place_for(text, label.box_xyxy, (width, height), taken[:_MOST_APART])
            writer.write(bgr, text, place, label.colour)
            taken.append((*place, *text.plate_wh))


def place_for(
    text: Text, box_xyxy: Sequence[float], size_wh: tuple[int, int], taken: Sequence[Rectangle]
) -> tuple[int, int]:
    """Return the upper left corner of a text's plate: near its box, inside the picture, on no other plate if possible.

    The plate must not be larger than the picture.
    """
    places = list(_places(text.plate_wh, box_xyxy, size_wh))
    return next((place for place in places if not _covers((*place, *text.plate_wh), taken)), places[0])


def _places(
    plate_wh: tuple[int, int], box_xyxy: Sequence[float], size_wh: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """Yield places in order of preference: over the box, in it from its top down, below it, at its right end."""
    width, height = plate_wh
    ends = (*size_wh, *size_wh)
    x1, y1, x2, y2 = (int(min(max(edge, 0), end)) for edge, end in zip(box_xyxy, ends, strict=True))
    tops = [y1 - height, *range(y1, max(y2 - height, y1) + 1, height), y2]
    for x, y in [*((x1, top) for top in tops), *((x2 - width, top) for top in tops)]:
        if 0 <= y <= size_wh[1] - height:
            yield min(max(x, 0), size_wh[0] - width), y
    yield min(x1, size_wh[0] - width), min(y1, size_wh[1] - height)


def _covers(plate: Rectangle, taken: Sequence[Rectangle]) -> bool:
    x, y, width, height = plate
    return any(
        x < left + across and left < x + width and y < top + down and top < y + height
        for left, top, across, down in taken
    )
