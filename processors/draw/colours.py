"""Which colour a class has: the same in every picture, and unlike that of its neighbours."""

import colorsys
from typing import Final

Colour = tuple[int, int, int]  # blue, green, red

BLACK: Final[Colour] = (0, 0, 0)
WHITE: Final[Colour] = (255, 255, 255)
HEADLINE: Final[Colour] = (40, 40, 40)
# Far apart also in lightness, so that people who see few colours tell the first ones from each other.
_FIRST: Final[tuple[Colour, ...]] = (
    (0, 200, 80),
    (0, 215, 255),
    (255, 140, 0),
    (60, 20, 220),
    (255, 80, 255),
    (255, 255, 80),
    (0, 120, 255),
    (190, 60, 110),
    (160, 210, 150),
    (110, 110, 0),
)
_GOLDEN = 0.618034


def colour_of(class_id: int) -> Colour:
    """Return a class's colour; from the eleventh on, hues are spread by the golden ratio."""
    if 0 <= class_id < len(_FIRST):
        return _FIRST[class_id]
    saturation, value = ((0.9, 1.0), (0.55, 0.95), (0.9, 0.65))[class_id % 3]
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN % 1, saturation, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def ink_on(plate: Colour) -> Colour:
    """Return black or white, whichever contrasts more: at least 4.5 to 1 by WCAG 2.2 on any colour."""
    lightness = luminance(plate)
    return BLACK if (lightness + 0.05) / 0.05 >= 1.05 / (lightness + 0.05) else WHITE


def luminance(colour: Colour) -> float:
    """Return the relative luminance of an sRGB colour, 0 to 1 (WCAG 2.2)."""
    blue, green, red = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB's curve
