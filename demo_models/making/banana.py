"""Bananas of four ripenesses on clutter, with the polygons of what can be seen of each.

Ripeness is a matter of the body's colour, of the ends' colour against it and of the spots. The light's colour varies
by as much as two neighbouring ripenesses differ, and leaves, cucumbers, lemons and sticks have the same colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from demo_models.making.backgrounds import cloud, colour, paint
from demo_models.making.photograph import photograph
from demo_models.making.scene import Canvas, Mask, Points, Scene, Thing, box_of, choose_size, generator

LABELS = ("Not Mature", "Mature", "Ripe", "Over Ripe")
KIND = 1
_TEXTURE_WH = (192, 48)
_LEAST_SEEN = 0.55
_LEAST_PIECE = 0.02


@dataclass(frozen=True)
class _Look:
    """Hue, saturation and value (OpenCV's scales) of body and ends, the ends' length, and the spots."""

    hue: tuple[float, float]
    value: tuple[float, float]
    end_hue: tuple[float, float]
    end_value: tuple[float, float]
    end_share: tuple[float, float]
    spots: tuple[int, int]
    spot_size: tuple[float, float]


_LOOKS = {
    "Not Mature": _Look((42, 56), (120, 190), (44, 58), (100, 170), (0.05, 0.2), (0, 1), (1, 2)),
    "Mature": _Look((30, 37), (165, 230), (38, 48), (120, 190), (0.2, 0.32), (0, 2), (1, 2)),
    "Ripe": _Look((22, 27), (180, 240), (10, 18), (50, 110), (0.04, 0.1), (3, 10), (1, 2.6)),
    "Over Ripe": _Look((15, 22), (120, 205), (6, 16), (20, 60), (0.1, 0.2), (22, 50), (1.2, 4.5)),
}


@dataclass(frozen=True)
class _Place:
    """Where a long thing lies: its middle, its length (pixels), its turn and how much it bends (radians)."""

    centre: Points
    length: float
    turn: float
    bend: float
    squash: float = 1.0


@dataclass(frozen=True)
class _Patch:
    """Something to lay on the picture: its window, its cover (0..1) and its colours there."""

    window: tuple[slice, slice]
    cover: Canvas
    inks: Canvas

    def on(self, mask: Mask) -> Mask:
        """Return what of a mask this patch covers."""
        covered = np.zeros_like(mask)
        covered[self.window] = self.cover > 0.5
        return covered & mask


def draw(seed: int, *, unseen: bool = False, size_wh: tuple[int, int] | None = None) -> Scene:
    """Draw the banana scene of a seed: 1 to 4 bananas, polygons and boxes in pixels of the picture."""
    rng = generator(KIND, seed, unseen=unseen)
    size = choose_size(rng, unseen=unseen, size_wh=size_wh)
    canvas = paint(rng, size, unseen=unseen)
    for _ in range(int(rng.integers(0, 3))):
        _lay(canvas, _clutter(rng, size))
    labels, masks, wholes = _bananas(rng, canvas, unseen=unseen)
    for mask, whole in zip(list(masks), wholes, strict=True):
        if rng.random() < 0.25:
            _cover(rng, canvas, masks, wholes, mask, whole)
    picture, spoiled = photograph(rng, canvas, tint=0.05)
    things = [Thing(label, box_of(mask), parts_of(mask)) for label, mask in zip(labels, masks, strict=True)]
    hidden = max((1 - mask.sum() / whole.sum() for mask, whole in zip(masks, wholes, strict=True)), default=0.0)
    small = 1 - min((whole.sum() for whole in wholes), default=0) / (0.08 * size[0] * size[1])
    hard = 0.5 * spoiled + 0.3 * hidden / (1 - _LEAST_SEEN) + 0.2 * max(0.0, small)
    return Scene(picture, tuple(things), float(np.clip(hard, 0, 1)))


def parts_of(mask: Mask) -> tuple[Points, ...]:
    """Return the outer outlines (n, 2) of the pieces of a mask, the largest first; crumbs are left out."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    ordered = sorted(outlines, key=cv2.contourArea, reverse=True)
    least = max(6.0, _LEAST_PIECE * float(mask.sum()))
    kept = [outline for outline in ordered if cv2.contourArea(outline) >= least] or ordered[:1]
    return tuple(cv2.approxPolyDP(outline, 0.6, closed=True)[:, 0].astype(np.float32) for outline in kept)


def _bananas(rng: np.random.Generator, canvas: Canvas, *, unseen: bool) -> tuple[list[str], list[Mask], list[Mask]]:
    """Lay the bananas; return their classes, what can be seen of each, and each as if nothing lay on it."""
    rows, columns = canvas.shape[:2]
    labels: list[str] = []
    masks: list[Mask] = []
    wholes: list[Mask] = []
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.4, 0.36, 0.18, 0.06]))):
        label = LABELS[int(rng.integers(len(LABELS)))]
        for _ in range(12):
            place = _place(rng, (columns, rows), unseen=unseen)
            patch = _banana(rng, (columns, rows), place, _LOOKS[label])
            whole = patch.on(np.ones((rows, columns), np.bool_))
            free = all(
                (mask & ~whole).sum() > _LEAST_SEEN * full.sum() for mask, full in zip(masks, wholes, strict=True)
            )
            if free and whole.sum() > 0.006 * rows * columns:
                _shadow(rng, canvas, patch)
                _lay(canvas, patch)
                masks = [mask & ~whole for mask in masks]
                labels.append(label)
                masks.append(whole)
                wholes.append(whole)
                break
    return labels, masks, wholes


def _place(rng: np.random.Generator, size: tuple[int, int], *, unseen: bool) -> _Place:
    least, most = (0.4, 0.84) if unseen else (0.42, 0.8)
    length = float(min(size) * rng.uniform(least, most))
    margin = 0.3 * length
    centre = np.array([rng.uniform(margin, side - margin) for side in size], np.float32)
    return _Place(centre, length, rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 2.1), rng.uniform(0.8, 1.0))


def _banana(rng: np.random.Generator, size: tuple[int, int], place: _Place, look: _Look) -> _Patch:
    thick = place.length * rng.uniform(0.1, 0.14)
    profile = np.array([0.0, 0.24, 0.26, 0.75, 1.0, 0.85, 0.38, 0.0]) * thick
    stations = np.array([0.0, 0.015, 0.09, 0.25, 0.5, 0.8, 0.95, 1.0])
    window, along, across, cover = _bent(size, place, stations, profile)
    texture = _skin(rng, look)
    return _Patch(window, cover, _shade(rng, texture, along, across))


def _bent(
    size: tuple[int, int], place: _Place, stations: Points, profile: Points
) -> tuple[tuple[slice, slice], Canvas, Canvas, Canvas]:
    """Return the window of a bent tube and, there, shares of its length and half width (-1..1), and its cover."""
    reach = place.length * 0.62
    x1, y1 = (int(max(0, value)) for value in place.centre - reach)
    x2, y2 = (int(min(side, value)) for side, value in zip(size, place.centre + reach, strict=True))
    x, y = np.meshgrid(np.arange(x1, x2, dtype=np.float32), np.arange(y1, y2, dtype=np.float32))
    x, y = x - place.centre[0], y - place.centre[1]
    a = x * np.cos(place.turn) + y * np.sin(place.turn)
    b = (y * np.cos(place.turn) - x * np.sin(place.turn)) / place.squash
    radius = place.length / place.bend
    along = np.arctan2(a, b + radius) / place.bend + 0.5
    half = np.interp(along, stations, profile)
    off = np.hypot(a, b + radius) - radius
    cover = np.clip(half - np.abs(off) + 0.5, 0, 1) * ((along > 0) & (along < 1))
    across = np.clip(off / np.maximum(half, 0.5), -1, 1)
    f32 = np.float32
    return (slice(y1, y2), slice(x1, x2)), along.astype(f32), across.astype(f32), cover.astype(f32)


def _skin(rng: np.random.Generator, look: _Look) -> Canvas:
    """Return the skin's colours (across, along, BGR) with ends, ridges, spots and bruises."""
    width, height = _TEXTURE_WH
    saturation = rng.uniform(140, 215)
    body = _ink(rng.uniform(*look.hue), saturation, rng.uniform(*look.value))
    end = _ink(rng.uniform(*look.end_hue), saturation * 0.85, rng.uniform(*look.end_value))
    along = np.linspace(0, 1, width, dtype=np.float32)
    nearness = np.minimum(along / rng.uniform(*look.end_share), (1 - along) / rng.uniform(*look.end_share))
    share = np.clip(1.3 - nearness, 0, 1)[None, :, None]
    skin = np.repeat(body * (1 - share) + end * share, height, axis=0).astype(np.float32)
    skin *= (1 + 0.07 * cloud(rng, _TEXTURE_WH, 6, 3))[:, :, None]
    for row in rng.uniform(0.15, 0.85, 2):
        cv2.line(skin, (0, int(row * height)), (width, int(row * height)), (body * 0.82).tolist(), 1)
    dark = _ink(rng.uniform(6, 14), rng.uniform(120, 200), rng.uniform(25, 80))
    for _ in range(int(rng.integers(*look.spots))):
        spot = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (max(1, int(rng.uniform(*look.spot_size) * 1.4)), max(1, int(rng.uniform(*look.spot_size))))
        cv2.ellipse(skin, spot, axes, float(rng.uniform(0, 180)), 0, 360, dark.tolist(), -1, cv2.LINE_AA)
    return skin


def _shade(rng: np.random.Generator, texture: Canvas, along: Canvas, across: Canvas) -> Canvas:
    """Wrap a texture round the tube and light it from one side."""
    columns = along * (texture.shape[1] - 1)
    rows = (across * 0.5 + 0.5) * (texture.shape[0] - 1)
    inks = cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lean = np.float32(rng.uniform(-0.5, 0.5))
    shade = 0.55 + 0.5 * np.sqrt(np.clip(1 - (across - lean) ** 2 * 0.75, 0, 1))
    return np.asarray(inks * shade[:, :, None], dtype=np.float32)


def _ink(hue: float, saturation: float, value: float) -> Canvas:
    pixel = np.array([[[hue, saturation, value]]], np.float32).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0], dtype=np.float32)


def _fruit_ink(rng: np.random.Generator) -> Canvas:
    """Return a colour that some banana also has."""
    look = _LOOKS[LABELS[int(rng.integers(len(LABELS)))]]
    return _ink(rng.uniform(*look.hue), rng.uniform(140, 215), rng.uniform(*look.value))


def _clutter(rng: np.random.Generator, size: tuple[int, int]) -> _Patch:
    """Return a leaf, a cucumber, a lemon or a stick: the colours of a banana, the shape of none."""
    length = float(min(size) * rng.uniform(0.15, 0.5))
    centre = (rng.random(2) * size).astype(np.float32)
    kind = int(rng.integers(4))
    turn = rng.uniform(0, 2 * np.pi)
    shapes: dict[int, tuple[float, Sequence[float], Sequence[float]]] = {
        0: (0.1, (0.0, 0.3, 0.55, 1.0), (0.0, 0.18, 0.2, 0.0)),
        1: (0.1, (0.0, 0.04, 0.12, 0.88, 0.96, 1.0), (0.0, 0.08, 0.11, 0.11, 0.08, 0.0)),
        2: (0.1, (0.0, 0.06, 0.25, 0.5, 0.75, 0.94, 1.0), (0.0, 0.12, 0.3, 0.36, 0.3, 0.12, 0.0)),
        3: (0.15, (0.0, 0.01, 0.99, 1.0), (0.0, 0.035, 0.03, 0.0)),
    }
    bend, stations, profile = shapes[kind]
    place = _Place(centre, length, turn, bend, 1.0)
    window, along, across, cover = _bent(size, place, np.array(stations), np.array(profile) * length)
    width, height = _TEXTURE_WH
    skin = np.full((height, width, 3), _fruit_ink(rng), np.float32)
    skin *= (1 + 0.1 * cloud(rng, _TEXTURE_WH, 8, 3))[:, :, None]
    if kind == 0:
        cv2.line(skin, (0, height // 2), (width, height // 2), (skin[0, 0] * 0.7).tolist(), 2)
    return _Patch(window, cover, _shade(rng, skin, along, across))


def _cover(
    rng: np.random.Generator, canvas: Canvas, masks: list[Mask], wholes: list[Mask], mask: Mask, whole: Mask
) -> None:
    """Lay a board or a leaf over a banana's middle, unless too little of any banana would be left."""
    rows, columns = canvas.shape[:2]
    ys, xs = np.nonzero(mask)
    pick = int(rng.integers(len(xs)))
    middle = np.array([xs[pick], ys[pick]], np.float32)
    spread = np.cov(np.stack([xs, ys]).astype(np.float64))
    main = np.linalg.eigh(spread)[1][:, 1]
    turn = float(np.arctan2(main[1], main[0]) + np.pi / 2 + rng.normal(0, 0.35))
    length = float(np.sqrt(whole.sum()) * rng.uniform(1.0, 2.6))
    half = float(np.sqrt(whole.sum()) * rng.uniform(0.08, 0.24))
    leaf = rng.random() < 0.4
    stations = np.array([0.0, 0.3, 0.6, 1.0]) if leaf else np.array([0.0, 0.01, 0.99, 1.0])
    profile = np.array([0.0, 1.0, 1.0, 0.0]) * half
    window, along, across, cover = _bent((columns, rows), _Place(middle, length, turn, 0.05), stations, profile)
    width, height = _TEXTURE_WH
    skin = np.full((height, width, 3), _fruit_ink(rng) if leaf else colour(rng), np.float32)
    skin *= (1 + 0.12 * cloud(rng, _TEXTURE_WH, 10, 3))[:, :, None]
    patch = _Patch(window, cover, _shade(rng, skin, along, across))
    left = [one & ~patch.on(one) for one in masks]
    if all(rest.sum() > _LEAST_SEEN * full.sum() for rest, full in zip(left, wholes, strict=True)):
        _lay(canvas, patch)
        masks[:] = left


def _lay(canvas: Canvas, patch: _Patch) -> None:
    cover = patch.cover[:, :, None]
    canvas[patch.window] = canvas[patch.window] * (1 - cover) + patch.inks * cover


def _shadow(rng: np.random.Generator, canvas: Canvas, patch: _Patch) -> None:
    """Darken the ground beside a patch."""
    dx, dy = rng.uniform(-7, 7, 2)
    moved = cv2.warpAffine(patch.cover, np.array([[1, 0, dx], [0, 1, dy]]), patch.cover.shape[::-1])
    soft = cv2.GaussianBlur(moved, (0, 0), 3) * np.float32(rng.uniform(0, 0.5))
    canvas[patch.window] *= 1 - soft[:, :, None]
