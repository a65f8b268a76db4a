"""Draws street scenes as a citizen photographs them: something is wrong in each."""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # height x width x 3, RGB
_Point = tuple[int, int]
_Colour = tuple[float, float, float]

WIDTH, HEIGHT = 1600, 1200
_HORIZON, _KERB, _LEFT, _RIGHT = 620, 760, 0, WIDTH
_GRAIN = 5.0  # standard deviation, in grey levels: what a phone's sensor leaves in daylight


def draw_street(scene: str, seed: int) -> Picture:
    """Draw one of `SCENES`, 1600 x 1200. The same arguments give the same pixels."""
    chance = np.random.default_rng(seed)
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    _sky(picture)
    _houses(picture, chance)
    _ground(picture)
    SCENES[scene](picture, chance)
    return _with_texture(picture, chance)


def as_picture(levels: NDArray[Any]) -> Picture:
    """Round grey levels of any kind to those that a picture has."""
    picture: Picture = np.clip(levels, 0, 255).astype(np.uint8)
    return picture


def _sky(picture: Picture) -> None:
    shade = np.linspace(0, 1, _HORIZON, dtype=np.float32)[:, None, None]
    top, bottom = np.array([96, 132, 172], np.float32), np.array([172, 182, 188], np.float32)
    picture[:_HORIZON] = (top + (bottom - top) * shade).astype(np.uint8)


def _houses(picture: Picture, chance: np.random.Generator) -> None:
    left = int(chance.integers(-120, 0))
    while left < WIDTH:
        width = int(chance.integers(210, 380))
        top = int(chance.integers(90, 330))
        red, green, blue = (float(level) for level in chance.integers((105, 85, 70), (170, 140, 125)))
        cv2.rectangle(picture, (left, top), (left + width, _KERB), (red, green, blue), -1)
        cv2.rectangle(picture, (left - 6, top - 22), (left + width + 6, top), (red * 0.6, green * 0.6, blue * 0.6), -1)
        _windows(picture, left, top, width)
        left += width


def _windows(picture: Picture, left: int, top: int, width: int) -> None:
    for y in range(top + 40, _KERB - 150, 110):
        for x in range(left + 30, left + width - 60, 84):
            cv2.rectangle(picture, (x, y), (x + 46, y + 68), (196, 190, 176), -1)
            cv2.rectangle(picture, (x + 5, y + 5), (x + 41, y + 63), (68, 84, 98), -1)
            cv2.line(picture, (x + 23, y + 5), (x + 23, y + 63), (196, 190, 176), 3)


def _ground(picture: Picture) -> None:
    picture[_KERB - 50 : _KERB] = (150, 146, 138)
    picture[_KERB:] = (98, 99, 102)
    cv2.line(picture, (_LEFT, _KERB), (_RIGHT, _KERB), (178, 176, 170), 14)
    for x in range(-200, WIDTH, 340):
        corners = [(x, 1010), (x + 190, 1010), (x + 170, 1036), (x - 30, 1036)]
        cv2.fillPoly(picture, [np.array(corners, np.int32)], (188, 186, 176))
    for x in range(0, WIDTH, 120):
        cv2.line(picture, (x, _KERB - 50), (x - 20, _KERB), (126, 122, 116), 3)


def _pothole(picture: Picture, chance: np.random.Generator) -> None:
    centre = (int(chance.integers(600, 1000)), 930)
    for grow, colour in ((1.15, (122, 120, 116)), (1.0, (62, 58, 54)), (0.7, (44, 42, 42))):
        cv2.fillPoly(picture, [_blob(centre, 230 * grow, 88 * grow, chance)], colour)
    for _ in range(60):
        angle, far = chance.uniform(0, 6.28), chance.uniform(1.1, 1.7)
        stone = (int(centre[0] + 230 * far * np.cos(angle)), int(centre[1] + 88 * far * np.sin(angle)))
        cv2.circle(picture, stone, int(chance.integers(3, 10)), (74, 72, 70), -1)


def _lamp(picture: Picture, chance: np.random.Generator) -> None:
    x = int(chance.integers(700, 1000))
    cv2.line(picture, (x, _KERB - 10), (x + 30, 240), (58, 64, 66), 26)
    cv2.line(picture, (x + 30, 240), (x + 190, 210), (58, 64, 66), 18)
    cv2.ellipse(picture, (x + 225, 232), (64, 26), 30, 0, 360, (52, 56, 58), -1)
    cv2.line(picture, (x + 200, 250), (x + 170, 420), (40, 42, 44), 5)
    for _ in range(24):
        splinter = (x + 170 + int(chance.integers(-150, 150)), _KERB + int(chance.integers(10, 70)))
        cv2.circle(picture, splinter, 5, (206, 212, 214), -1)


def _bin(picture: Picture, chance: np.random.Generator) -> None:
    x = int(chance.integers(560, 900))
    for _ in range(9):
        place = (x + 130 + int(chance.integers(-230, 260)), 830 + int(chance.integers(-60, 60)))
        level = float(chance.integers(40, 120))
        cv2.fillPoly(picture, [_blob(place, 90, 70, chance)], (level, level, level * 1.1))
    cv2.rectangle(picture, (x, 480), (x + 260, 860), (46, 92, 60), -1)
    cv2.rectangle(picture, (x - 14, 452), (x + 274, 490), (38, 74, 50), -1)
    for step in range(5):
        colour = tuple(float(level) for level in chance.integers(90, 210, 3))
        cv2.fillPoly(picture, [_blob((x + 30 + step * 52, 440), 48, 40, chance)], colour)


def _graffiti(picture: Picture, chance: np.random.Generator) -> None:
    cv2.rectangle(picture, (180, 330), (1420, _KERB - 50), (158, 150, 136), -1)
    for y in range(330, _KERB - 50, 38):
        cv2.line(picture, (180, y), (1420, y), (132, 124, 112), 3)
    for _ in range(7):
        start = np.array([chance.integers(230, 1050), chance.integers(400, 640)])
        steps = chance.integers((10, -110), (90, 110), (6, 2)).cumsum(axis=0)
        line = np.clip(start + steps, (190, 345), (1410, _KERB - 65)).astype(np.int32)
        cv2.polylines(picture, [line], False, tuple(float(level) for level in chance.integers(40, 200, 3)), 20)


def _branch(picture: Picture, chance: np.random.Generator) -> None:
    start: _Point = (int(chance.integers(200, 420)), 1010)
    end: _Point = (start[0] + 860, 820)
    cv2.line(picture, start, end, (88, 66, 46), 46)
    for _ in range(90):
        along = chance.uniform(0.2, 1.1)
        x = int(start[0] + (end[0] - start[0]) * along + chance.normal(0, 60))
        y = int(start[1] + (end[1] - start[1]) * along + chance.normal(0, 60))
        colour = (float(chance.integers(50, 110)), float(chance.integers(90, 150)), 60.0)
        cv2.ellipse(picture, (x, y), (34, 14), float(chance.uniform(0, 180)), 0, 360, colour, -1)


def _flood(picture: Picture, chance: np.random.Generator) -> None:
    centre = (int(chance.integers(600, 1000)), 850)
    water = _blob(centre, 560, 100, chance)
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [water], (255,))
    mirrored = picture[_KERB - 1 :: -1][: HEIGHT - _KERB]
    below, inside = picture[_KERB:], mask[_KERB:, :, None] > 0
    np.copyto(below, (mirrored * 0.75).astype(np.uint8), where=inside)
    cv2.polylines(picture, [water], True, (176, 184, 190), 5)


SCENES: Mapping[str, Callable[[Picture, np.random.Generator], None]] = {
    "pothole": _pothole,
    "lamp": _lamp,
    "bin": _bin,
    "graffiti": _graffiti,
    "branch": _branch,
    "flood": _flood,
}


def _blob(centre: _Point, across: float, along: float, chance: np.random.Generator) -> NDArray[np.int32]:
    """Return the outline of something uneven."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    uneven = 1 + np.convolve(chance.normal(0, 0.14, 42), np.ones(3) / 3, "valid")
    outline = np.stack([centre[0] + across * uneven * np.cos(angles), centre[1] + along * uneven * np.sin(angles)], 1)
    return outline.astype(np.int32)


def _with_texture(picture: Picture, chance: np.random.Generator) -> Picture:
    """Add rough surfaces, light that falls off to the corners, and the sensor's grain."""
    rough = cv2.resize(chance.standard_normal((HEIGHT // 3, WIDTH // 3), np.float32), (WIDTH, HEIGHT))
    rough[:_HORIZON] = rough[:_HORIZON] * 0.35
    y, x = np.ogrid[-1.0 : 1.0 : HEIGHT * 1j, -1.0 : 1.0 : WIDTH * 1j]
    light = (1.06 - 0.16 * (x * x + y * y)).astype(np.float32)
    grain = chance.standard_normal((HEIGHT, WIDTH), np.float32) * _GRAIN + rough * 9
    lit = (picture * 1.25 - 18) * light[:, :, None] + grain[:, :, None]
    return as_picture(lit)
