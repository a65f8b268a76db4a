"""Charts as PNG, with what is installed anyway: a plotting library would be larger than all the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from schemas.errors import ConfigurationError
from sightline.models.geometry import Doubles

_SIZE: Final = (960, 640)
_FRAME: Final = (80, 60, 700, 560)  # left, top, right, bottom of the axes
_INK, _GRID, _PAPER = (28, 37, 48), (220, 226, 232), (255, 255, 255)
_TICKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_TEXT_SIZE: Final = 15
_LEGEND_ROWS: Final = 20
_CELL: Final = 64
_LARGEST_SIDE: Final = 1600
_NARROWEST: Final = 280  # what title and caption need
# Told apart also by people who confuse red and green (Okabe and Ito's set).
_COLOURS: Final = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (120, 110, 0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One curve; both axes go from 0 to 1."""

    name: str
    x: Doubles
    y: Doubles


def draw_lines(path: Path, title: str, axes: tuple[str, str], lines: Sequence[Line]) -> None:
    """Draw curves with a legend; the first one is thick. Raises ConfigurationError when the file cannot be written."""
    image = Image.new("RGB", _SIZE, _PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_TEXT_SIZE)
    left, top, right, bottom = _FRAME
    for tick in _TICKS:
        x, y = left + tick * (right - left), bottom - tick * (bottom - top)
        draw.line((x, top, x, bottom), fill=_GRID)
        draw.line((left, y, right, y), fill=_GRID)
        draw.text((x, bottom + 8), f"{tick:g}", fill=_INK, font=font, anchor="mt")
        draw.text((left - 8, y), f"{tick:g}", fill=_INK, font=font, anchor="rm")
    draw.text(((left + right) / 2, bottom + 34), axes[0], fill=_INK, font=font, anchor="mt")
    draw.text((left, top - 8), axes[1], fill=_INK, font=font, anchor="lb")
    draw.text((_SIZE[0] / 2, 12), title, fill=_INK, font=ImageFont.load_default(_TEXT_SIZE + 4), anchor="mt")
    # The first goes on top of the others.
    for index, line in reversed(list(enumerate(lines))):
        points = list(zip(left + line.x * (right - left), bottom - line.y * (bottom - top), strict=True))
        draw.line(points, fill=_colour(index), width=4 if index == 0 else 2, joint="curve")
    _legend(draw, font, [line.name for line in lines])
    _save(image, path)


def draw_confusion(path: Path, title: str, names: Sequence[str], counts: Doubles) -> None:
    """Draw a confusion matrix: rows are the truth, columns what was found, shade is the share of the row.

    Raises ConfigurationError when the file cannot be written.
    """
    font = ImageFont.load_default(_TEXT_SIZE)
    shown = [_short(name) for name in names]
    margin = int(max(font.getlength(name) for name in shown)) + 40
    cell = max(min(_CELL, (_LARGEST_SIDE - margin) // len(names)), 4)
    side = cell * len(names)
    image = Image.new("RGB", (max(margin + side + 20, _NARROWEST), margin + side + 60), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((10, 12), title, fill=_INK, font=ImageFont.load_default(_TEXT_SIZE + 2))
    draw.text((10, margin + side + 24), "found (columns), truth (rows)", fill=_INK, font=font)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    readable = cell >= 2 * _TEXT_SIZE
    for row, name in enumerate(shown):
        y = margin + row * cell
        if readable:
            draw.text((margin - 8, y + cell / 2), name, fill=_INK, font=font, anchor="rm")
            _column_name(image, name, margin + row * cell + cell // 2, margin - 8, font)
        for column in range(len(shown)):
            x = margin + column * cell
            draw.rectangle((x, y, x + cell, y + cell), fill=_shade(float(shares[row, column])), outline=_GRID)
            if readable and counts[row, column]:
                ink = _PAPER if shares[row, column] > 0.5 else _INK  # noqa: PLR2004  # readable on the shade
                text = f"{int(counts[row, column])}"
                draw.text((x + cell / 2, y + cell / 2), text, fill=ink, font=font, anchor="mm")
    _save(image, path)


def _legend(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, names: Sequence[str]
) -> None:
    for index, name in enumerate(names[:_LEGEND_ROWS]):
        y = _FRAME[1] + index * 24
        draw.line((720, y + 8, 745, y + 8), fill=_colour(index), width=4 if index == 0 else 2)
        draw.text((752, y), _short(name), fill=_INK, font=font)
    if len(names) > _LEGEND_ROWS:
        draw.text((752, _FRAME[1] + _LEGEND_ROWS * 24), f"and {len(names) - _LEGEND_ROWS} more", fill=_INK, font=font)


def _column_name(
    image: Image.Image, name: str, x: int, bottom: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> None:
    strip = Image.new("RGB", (int(font.getlength(name)) + 4, _TEXT_SIZE + 8), _PAPER)
    ImageDraw.Draw(strip).text((0, 2), name, fill=_INK, font=font)
    turned = strip.rotate(90, expand=True)
    image.paste(turned, (x - turned.width // 2, bottom - turned.height))


def _colour(index: int) -> tuple[int, int, int]:
    return _INK if index == 0 else _COLOURS[(index - 1) % len(_COLOURS)]


def _shade(share: float) -> tuple[int, int, int]:
    light, dark = np.array(_PAPER), np.array(_COLOURS[0])
    red, green, blue = (light + (dark - light) * share).astype(int).tolist()
    return red, green, blue


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"  # noqa: PLR2004  # what the legend has room for


def _save(image: Image.Image, path: Path) -> None:
    try:
        image.save(path, "PNG", optimize=True)
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be written: {error.strerror}") from None
