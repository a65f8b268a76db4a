"""Backgrounds: one family for training, another that only unseen scenes use."""

from collections.abc import Callable

import cv2
import numpy as np

from demo_models.making.scene import Canvas

Painter = Callable[[np.random.Generator, int, int], Canvas]


def paint(rng: np.random.Generator, size_wh: tuple[int, int], *, unseen: bool) -> Canvas:
    """Return a background (height, width, 3; float32, 0..255, BGR)."""
    painters = UNSEEN if unseen else SEEN
    width, height = size_wh
    return painters[int(rng.integers(len(painters)))](rng, width, height)


def cloud(rng: np.random.Generator, size_wh: tuple[int, int], coarse: int, octaves: int = 3) -> Canvas:
    """Return smooth noise (height, width; float32; about -1..1): `coarse` cells across, finer octaves at half size."""
    width, height = size_wh
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = coarse * 2**octave
        grid = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total / np.float32(1.5)


def colour(rng: np.random.Generator, *, natural: float = 0.6) -> Canvas:
    """Return a random colour (3,), BGR; `natural` is how often it is one of fruit, leaf, skin or wood."""
    if rng.random() < natural:
        hue, saturation, value = rng.uniform(0, 75), rng.uniform(40, 220), rng.uniform(50, 240)
    else:
        hue, saturation, value = rng.uniform(0, 180), rng.uniform(0, 200), rng.uniform(20, 240)
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0], dtype=np.float32)


def _mix(share: Canvas, first: Canvas, second: Canvas) -> Canvas:
    part = np.clip(share, 0, 1)[:, :, None]
    return np.asarray(first * (1 - part) + second * part, dtype=np.float32)


def _gradient(rng: np.random.Generator, width: int, height: int) -> Canvas:
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(np.cos(angle))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    return _mix((x + y + 1.4) / 2.8, colour(rng), colour(rng))


def _clouds(rng: np.random.Generator, width: int, height: int) -> Canvas:
    share = cloud(rng, (width, height), int(rng.integers(2, 7)), 4) * 0.7 + 0.5
    return _mix(share, colour(rng), colour(rng))


def _wood(rng: np.random.Generator, width: int, height: int) -> Canvas:
    bend = cloud(rng, (width, height), 3, 2)
    x = np.linspace(0, rng.uniform(8, 30), width, dtype=np.float32)[None, :]
    grain = np.sin(x * 2 + bend * rng.uniform(2, 7)) * 0.5 + 0.5
    picture = _mix(grain * 0.8, colour(rng, natural=1.0), colour(rng, natural=1.0))
    return picture if rng.random() < 0.5 else np.ascontiguousarray(cv2.resize(picture[:, ::-1], (width, height)))


def _shapes(rng: np.random.Generator, width: int, height: int) -> Canvas:
    picture = _gradient(rng, width, height)
    for _ in range(int(rng.integers(6, 20))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(6, 70)), int(rng.integers(6, 70)))
        ink = tuple(float(value) for value in colour(rng))
        if rng.random() < 0.5:
            cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, ink, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints((centre, axes, float(rng.uniform(0, 180)))).astype(np.int32)
            cv2.fillPoly(picture, [corners], ink, cv2.LINE_AA)
    return picture


def _stripes(rng: np.random.Generator, width: int, height: int) -> Canvas:
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(8, 50)
    x = np.arange(width, dtype=np.float32)[None, :] * np.float32(np.cos(angle))
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    wave = np.sin((x + y) * np.float32(2 * np.pi / pitch)) * np.float32(rng.uniform(1, 6)) + np.float32(0.5)
    return _mix(wave, colour(rng), colour(rng))


def _cells(rng: np.random.Generator, width: int, height: int) -> Canvas:
    """Paint stones: each pixel takes the colour of its nearest seed point, with dark joints."""
    count = int(rng.integers(15, 60))
    seeds = (rng.random((count, 2)) * (width, height)).astype(np.float32)
    shades = np.stack([colour(rng) for _ in range(4)])[rng.integers(0, 4, count)]
    x, y = np.meshgrid(np.arange(0, width, 2, dtype=np.float32), np.arange(0, height, 2, dtype=np.float32))
    far = (x[:, :, None] - seeds[:, 0]) ** 2 + (y[:, :, None] - seeds[:, 1]) ** 2
    nearest = np.partition(far, 1, axis=2)
    joint = np.clip((np.sqrt(nearest[:, :, 1]) - np.sqrt(nearest[:, :, 0])) / 5, 0.5, 1)
    small = (shades[far.argmin(axis=2)] * joint[:, :, None]).astype(np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _tiles(rng: np.random.Generator, width: int, height: int) -> Canvas:
    pitch, turn = rng.uniform(18, 60), rng.uniform(0, np.pi)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    across = (x * np.cos(turn) + y * np.sin(turn)) / pitch
    down = (y * np.cos(turn) - x * np.sin(turn)) / pitch
    odd = ((np.floor(across) + np.floor(down)) % 2).astype(np.float32)
    picture = _mix(odd, colour(rng), colour(rng))
    gap = (np.minimum(across % 1, down % 1) < 0.07).astype(np.float32)
    return _mix(gap, picture, colour(rng))


def _foliage(rng: np.random.Generator, width: int, height: int) -> Canvas:
    picture = _clouds(rng, width, height)
    for _ in range(int(rng.integers(40, 110))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        long = int(rng.integers(8, 34))
        ink = tuple(float(value) for value in colour(rng, natural=0.9))
        cv2.ellipse(
            picture, centre, (long, max(3, long // 3)), float(rng.uniform(0, 180)), 0, 360, ink, -1, cv2.LINE_AA
        )
    return picture


def _marble(rng: np.random.Generator, width: int, height: int) -> Canvas:
    veins = 1 - np.abs(np.sin(cloud(rng, (width, height), 4, 4) * rng.uniform(3, 9)))
    return _mix(veins.astype(np.float32) ** 2, colour(rng), colour(rng))


SEEN: tuple[Painter, ...] = (_gradient, _clouds, _wood, _shapes, _stripes)
UNSEEN: tuple[Painter, ...] = (_cells, _tiles, _foliage, _marble)
