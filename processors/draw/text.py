"""Text of any script: its size, and as much of it as has room.

OpenCV brings outlines for Latin, Greek, Cyrillic, Arabic, Chinese, Japanese and Korean letters; others become "?".
"""

from dataclasses import dataclass
from typing import Final

import cv2

from processors.decode.pictures import Pixels
from processors.draw.colours import Colour, ink_on

MOST_CHARACTERS: Final = 80
SMALLEST: Final = 8  # pixels of a letter's height that can still be read
_WEIGHT: Final = 600  # half bold
_SMALLER: Final = 0.8
_PADDING_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Text:
    """A text that fits: what is left of it, its height of letters, and the plate's size and base point in pixels."""

    content: str
    size: int
    plate_wh: tuple[int, int]
    origin_xy: tuple[int, int]


class Writer:
    """Measures and writes with one font; of one thread, since a font remembers the letters that it drew."""

    def __init__(self) -> None:
        self._font = cv2.FontFace("sans")

    def fit(self, content: str, size: int, room_wh: tuple[int, int]) -> Text | None:
        """Return the text in at most that size, smaller or cut where there is no room for it; None where there is none.

        Line breaks and control characters become blanks.
        """
        content = _one_line(content)
        while content:
            text = self._measure(content, size)
            if text.plate_wh[0] <= room_wh[0] and text.plate_wh[1] <= room_wh[1]:
                return text
            if size > SMALLEST:
                size = max(int(size * _SMALLER), SMALLEST)
            elif text.plate_wh[1] > room_wh[1]:
                return None
            else:
                content = content[:-2] + "…" if len(content) > 2 else ""  # noqa: PLR2004
        return None

    def write(self, bgr: Pixels, text: Text, place_xy: tuple[int, int], colour: Colour) -> None:
        """Fill a plate whose upper left corner is `place_xy`, and write the text on it, nowhere else."""
        (x, y), (width, height) = place_xy, text.plate_wh
        plate = bgr[y : y + height, x : x + width]
        plate[:] = colour
        cv2.putText(plate, text.content, text.origin_xy, ink_on(colour), self._font, text.size, _WEIGHT)

    def _measure(self, content: str, size: int) -> Text:
        x, y, width, height = cv2.getTextSize((0, 0), content, (0, 0), self._font, size, _WEIGHT)
        padding = max(round(size * _PADDING_SHARE), 1)
        return Text(content, size, (width + 2 * padding, height + 2 * padding), (padding - x, padding - y))


def _one_line(content: str) -> str:
    """OpenCV breaks lines where text does, and crashes on half of a surrogate pair."""
    printable = "".join(character if character.isprintable() else " " for character in content)
    return " ".join(printable.split())[:MOST_CHARACTERS]
