"""Endoscopy-like scenes: a round field of view, folds, highlights, and polyps told by their shape.

The wall is a height map lit from the scope. A polyp is a bump with a rounded top; the look-alikes are folds (long
ridges), pits (the same outline, going inwards), flat red patches (colour without height) and bubbles (a bright rim).
"""

import cv2
import numpy as np

from demo_models.making.backgrounds import cloud
from demo_models.making.photograph import photograph
from demo_models.making.scene import Canvas, Points, Scene, Thing, box_of, choose_size, generator

LABELS = ("polyp",)
KIND = 2
_MOST_POLYPS = 3


def draw(seed: int, *, unseen: bool = False, size_wh: tuple[int, int] | None = None) -> Scene:
    """Draw the endoscopy scene of a seed: 0 to 3 polyps, boxes in pixels of the picture."""
    rng = generator(KIND, seed, unseen=unseen)
    size = choose_size(rng, unseen=unseen, size_wh=size_wh)
    view = _field_of_view(rng, size, unseen=unseen)
    height = _wall(rng, size, unseen=unseen)
    redness = cloud(rng, size, 4) * np.float32(0.5)
    things, hard = _polyps(rng, height, redness, view)
    _pits(rng, height, view, things)
    _patches(rng, redness)
    canvas = _light(rng, height, redness, unseen=unseen)
    _vessels(rng, canvas)
    _highlights(rng, canvas)
    _bubbles(rng, canvas, unseen=unseen)
    canvas *= view[:, :, None]
    picture, spoiled = photograph(rng, canvas, tint=0.08)
    return Scene(picture, tuple(things), float(np.clip(0.5 * spoiled + 0.5 * hard, 0, 1)))


def _field_of_view(rng: np.random.Generator, size: tuple[int, int], *, unseen: bool) -> Canvas:
    """Return the share of light (height, width) that the optics let through: a disc, an octagon or nearly all."""
    width, height = size
    view = np.zeros((height, width), np.float32)
    centre = (int(width * rng.uniform(0.47, 0.53)), int(height * rng.uniform(0.47, 0.53)))
    radius = int(min(size) * rng.uniform(0.46, 0.58))
    if unseen and rng.random() < 0.5:
        angles = np.arange(8) * np.pi / 4 + np.pi / 8
        corners = np.stack([np.cos(angles) * width * 0.52, np.sin(angles) * height * 0.54], 1) + centre
        cv2.fillPoly(view, [corners.astype(np.int32)], 1.0)
    elif rng.random() < 0.3:
        cv2.rectangle(view, (width // 20, height // 30), (width - width // 20, height - height // 30), 1.0, -1)
    else:
        cv2.circle(view, centre, radius, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(view, (0, 0), 1.5), dtype=np.float32)


def _wall(rng: np.random.Generator, size: tuple[int, int], *, unseen: bool) -> Canvas:
    """Return the height map (pixels) of the wall: gentle waves and long folds."""
    width, height = size
    wall = cloud(rng, size, 3, 3) * np.float32(max(size) * 0.02)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bend = cloud(rng, size, 3, 2) * np.float32(max(size) * rng.uniform(0.02, 0.08))
    if unseen:  # rings round a far centre, where training has nearly straight folds
        far = rng.uniform(-0.3, 1.3, 2) * (width, height)
        along = np.hypot(x - far[0], y - far[1]).astype(np.float32) + bend
    else:
        angle = rng.uniform(0, np.pi)
        along = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) + bend
    pitch = max(size) * rng.uniform(0.2, 0.5)
    ridge = np.clip(np.sin(along * np.float32(2 * np.pi / pitch)), 0, 1) ** np.float32(rng.uniform(2, 6))
    return np.asarray(wall + ridge * np.float32(max(size) * rng.uniform(0.01, 0.05)), dtype=np.float32)


def _outline(rng: np.random.Generator, size: tuple[int, int], centre: Points, radius: float) -> Canvas:
    """Return, for each pixel, its distance from a bumpy oval's centre as a share of the oval's radius there."""
    width, height = size
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) - centre[0], np.arange(height, dtype=np.float32) - centre[1])
    turn, squash = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
    across = x * np.cos(turn) + y * np.sin(turn)
    down = (y * np.cos(turn) - x * np.sin(turn)) / squash
    angle = np.arctan2(down, across)
    edge = 1 + 0.09 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.06 * np.sin(3 * angle + rng.uniform(0, 6))
    return np.asarray(np.hypot(across, down) / (radius * edge), dtype=np.float32)


def _polyps(rng: np.random.Generator, height: Canvas, redness: Canvas, view: Canvas) -> tuple[list[Thing], float]:
    """Raise the polyps out of the wall; return them and how hard the hardest is, 0..1."""
    rows, columns = height.shape
    things: list[Thing] = []
    hard = 0.3
    for _ in range(int(rng.choice(_MOST_POLYPS + 1, p=[0.12, 0.45, 0.28, 0.15]))):
        radius = float(min(rows, columns) * rng.uniform(0.055, 0.19))
        centre = _free_place(rng, view, radius, things)
        if centre is None:
            continue
        share = _outline(rng, (columns, rows), centre, radius)
        inside = share < 1
        rise = rng.uniform(0.38, 0.85)
        dome = np.sqrt(np.clip(1 - share**2, 0, 1))
        knobs = 1 + 0.12 * cloud(rng, (columns, rows), 14, 2)
        height += (dome * knobs * radius * rise).astype(np.float32)
        redness += np.where(inside, np.float32(rng.normal(0.1, 0.3)), np.float32(0))
        things.append(Thing("polyp", box_of(inside)))
        hard = max(hard, 0.5 * (0.85 - rise) / 0.47 + 0.5 * (0.19 - radius / min(rows, columns)) / 0.135)
    return things, hard


def _free_place(rng: np.random.Generator, view: Canvas, radius: float, things: list[Thing]) -> Points | None:
    """Return a centre whose oval lies in view and away from the others, or None after some tries."""
    rows, columns = view.shape
    reach = radius * 1.2
    for _ in range(25):
        x, y = rng.uniform(reach, columns - reach), rng.uniform(reach, rows - reach)
        seen = view[int(y - reach) : int(y + reach) + 1, int(x - reach) : int(x + reach) + 1]
        apart = all(_gap(x, y, thing) > reach for thing in things)
        if seen.mean() > 0.93 and apart:
            return np.array([x, y], np.float32)
    return None


def _gap(x: float, y: float, thing: Thing) -> float:
    """Return the distance from a point to a thing's box."""
    x1, y1, x2, y2 = thing.box_xyxy
    return float(np.hypot(max(x1 - x, 0, x - x2), max(y1 - y, 0, y - y2)))


def _pits(rng: np.random.Generator, height: Canvas, view: Canvas, things: list[Thing]) -> None:
    """Press pits into the wall: the outline of a polyp, but going inwards."""
    rows, columns = height.shape
    for _ in range(int(rng.integers(0, 3))):
        radius = float(min(rows, columns) * rng.uniform(0.04, 0.12))
        centre = _free_place(rng, view, radius, things)
        if centre is not None:
            share = _outline(rng, (columns, rows), centre, radius)
            height -= (np.sqrt(np.clip(1 - share**2, 0, 1)) * radius * rng.uniform(0.4, 0.9)).astype(np.float32)


def _patches(rng: np.random.Generator, redness: Canvas) -> None:
    """Redden or pale flat ovals anywhere: a polyp's colour and outline without its height."""
    rows, columns = redness.shape
    for _ in range(int(rng.integers(0, 4))):
        centre = (rng.random(2) * (columns, rows)).astype(np.float32)
        share = _outline(rng, (columns, rows), centre, float(min(rows, columns) * rng.uniform(0.05, 0.17)))
        redness += (np.clip((1 - share) * 6, 0, 1) * rng.normal(0.1, 0.45)).astype(np.float32)


def _light(rng: np.random.Generator, height: Canvas, redness: Canvas, *, unseen: bool) -> Canvas:
    """Light the wall (Lambert's law) with a lamp beside the lens, darker with the distance."""
    rows, columns = height.shape
    smooth = cv2.GaussianBlur(height, (0, 0), max(0.8, max(rows, columns) / 400))
    slope_x = np.gradient(smooth, axis=1)
    slope_y = np.gradient(smooth, axis=0)
    lamp = np.array([*rng.normal(0, 0.38, 2), 1.0])
    lamp /= np.linalg.norm(lamp)
    facing = (lamp[2] - slope_x * lamp[0] - slope_y * lamp[1]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    hollow = cv2.GaussianBlur(smooth, (0, 0), max(rows, columns) / 45) - smooth
    shade = np.clip(0.22 + 0.85 * facing - 0.03 * np.clip(hollow, -6, 14), 0.03, 1.3)
    x = np.linspace(-1, 1, columns)[None, :] - rng.uniform(-0.5, 0.5)
    y = np.linspace(-1, 1, rows)[:, None] - rng.uniform(-0.5, 0.5)
    falloff = 1.15 - rng.uniform(0.1, 0.4) * (x**2 + y**2)
    pale = np.array([150, 165, 225] if unseen and rng.random() < 0.4 else [125, 140, 222], np.float32)
    red = np.array([60, 62, 185], np.float32)
    share = np.clip(0.45 + 0.5 * redness, 0, 1)[:, :, None]
    grain = 1 + 0.05 * cloud(rng, (columns, rows), 40, 2)
    tissue = pale * (1 - share) + red * share
    return np.asarray(tissue * (shade * falloff * grain)[:, :, None], dtype=np.float32)


def _vessels(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draw thin dark vessels that wander over the wall."""
    rows, columns = canvas.shape[:2]
    overlay = np.zeros((rows, columns), np.float32)
    for _ in range(int(rng.integers(2, 9))):
        steps = np.cumsum(rng.normal(0, 0.5, 24)) + rng.uniform(0, 6)
        stride = max(rows, columns) * 0.02
        path = np.cumsum(np.stack([np.cos(steps), np.sin(steps)], 1) * stride, axis=0) + rng.random(2) * (columns, rows)
        cv2.polylines(overlay, [path.astype(np.int32)], isClosed=False, color=1.0, thickness=int(rng.integers(1, 3)))
    share = cv2.GaussianBlur(overlay, (0, 0), 0.9)[:, :, None] * np.float32(rng.uniform(0.2, 0.5))
    canvas *= 1 - share * np.array([1.0, 1.0, 0.45], np.float32)


def _highlights(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draw wet white glints anywhere, on polyps or not."""
    rows, columns = canvas.shape[:2]
    overlay = np.zeros((rows, columns), np.float32)
    for _ in range(int(rng.integers(3, 26))):
        centre = (int(rng.integers(columns)), int(rng.integers(rows)))
        axes = (int(rng.integers(1, 3 + columns // 60)), int(rng.integers(1, 3 + columns // 90)))
        cv2.ellipse(overlay, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    share = cv2.GaussianBlur(overlay, (0, 0), 0.8)[:, :, None] * np.float32(rng.uniform(0.6, 1.0))
    canvas += (np.float32(250) - canvas) * share


def _bubbles(rng: np.random.Generator, canvas: Canvas, *, unseen: bool) -> None:
    """Draw bubbles: a bright rim round the unchanged wall."""
    rows, columns = canvas.shape[:2]
    for _ in range(int(rng.integers(0, 7 if unseen else 5))):
        centre = (int(rng.integers(columns)), int(rng.integers(rows)))
        radius = int(rng.integers(4, max(6, columns // 18)))
        overlay = np.zeros((rows, columns), np.float32)
        cv2.circle(overlay, centre, radius, 0.5, 1, cv2.LINE_AA)
        cv2.circle(overlay, (centre[0] - radius // 3, centre[1] - radius // 3), max(1, radius // 5), 0.9, -1)
        canvas += (np.float32(245) - canvas) * overlay[:, :, None]
