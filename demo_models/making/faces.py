"""Drawn portraits, real or fake. A fake has had the inner face replaced, and keeps one to four traces of that.

The traces: a seam with a small step in colour, resampling, other noise, a shifted skin, a faint grid, and highlights in
the eyes that do not agree. Real portraits have what looks like them: glasses, make-up, soft shadows, blurred
backgrounds, and noise, resampling and compression of the picture as a whole.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from demo_models.making.backgrounds import cloud, colour, paint
from demo_models.making.photograph import photograph
from demo_models.making.scene import Canvas, Points, Scene, generator

LABELS = ("real", "fake")
KIND = 4
SEEN_SIZES_WH = ((380, 380), (400, 400), (440, 380), (380, 440))
UNSEEN_SIZES_WH = ((420, 420), (480, 400), (400, 500), (512, 512))
# Each fake has a seam besides: these can vanish in a blurred or compressed picture.
_OTHER_TRACES = ("noise", "grid", "resampling", "shift", "eyes")


@dataclass(frozen=True)
class _Face:
    """A face's frame: centre, half width, half height (pixels) and lean (radians); the skin's colour; glint of eyes."""

    centre: Points
    half_wh: Points
    lean: float
    skin: Canvas
    glints: Points

    def at(self, x: float, y: float) -> tuple[int, int]:
        """Return the pixel of a place in the face's frame: (0, 0) its centre, (1, 1) its right lower corner."""
        c, s = np.cos(self.lean), np.sin(self.lean)
        dx, dy = x * self.half_wh[0], y * self.half_wh[1]
        return round(float(self.centre[0] + dx * c - dy * s)), round(float(self.centre[1] + dx * s + dy * c))

    def axes(self, x: float, y: float) -> tuple[int, int]:
        """Return the half axes in pixels of an ellipse given as shares of the face."""
        return max(1, round(float(x * self.half_wh[0]))), max(1, round(float(y * self.half_wh[1])))


def draw(seed: int, *, unseen: bool = False, size_wh: tuple[int, int] | None = None) -> Scene:
    """Draw the portrait of a seed; its class is in `label`, and half of the seeds are fakes."""
    rng = generator(KIND, seed, unseen=unseen)
    sizes = UNSEEN_SIZES_WH if unseen else SEEN_SIZES_WH
    drawn = sizes[int(rng.integers(len(sizes)))]
    size = size_wh or drawn
    fake = bool(rng.random() < 0.5)
    traces = _choose_traces(rng) if fake else set()
    face = _frame(rng, size, agreeing="eyes" not in traces)
    canvas = _portrait(rng, face, size, unseen=unseen)
    picture, spoiled = photograph(rng, canvas, tint=0.08)
    strength = float(rng.uniform(0.6, 1.0))
    taken = _uneven_noise(rng, picture.astype(np.float32))
    worked = _replace(rng, taken, face, traces - {"eyes"}, strength) if fake else taken
    _, coded = cv2.imencode(".jpg", np.clip(worked, 0, 255).astype(np.uint8), [1, int(rng.integers(72, 97))])
    final = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    faint = 1 - strength * len(traces) / 4 if fake else 0.5
    return Scene(final, (), float(np.clip(0.5 * spoiled + 0.5 * faint, 0, 1)), LABELS[int(fake)])


def _choose_traces(rng: np.random.Generator) -> set[str]:
    return {"seam", *rng.permutation(_OTHER_TRACES)[: int(rng.integers(0, 4))].tolist()}


def _frame(rng: np.random.Generator, size: tuple[int, int], *, agreeing: bool) -> _Face:
    half = min(size) * rng.uniform(0.24, 0.36)
    centre = np.array(size) * 0.5 + rng.normal(0, 0.02, 2) * min(size)
    hue, saturation, value = rng.uniform(5, 16), rng.uniform(55, 150), rng.uniform(85, 235)
    skin = cv2.cvtColor(np.array([[[hue, saturation, value]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)
    angle = rng.uniform(-np.pi, 0)
    angles = np.array([angle, angle + (0.0 if agreeing else rng.uniform(1.6, 4.6))])
    glints = np.stack([np.cos(angles), np.sin(angles)], 1) * 0.55
    half_wh = np.array([half, half * rng.uniform(1.2, 1.4)], np.float32)
    return _Face(centre.astype(np.float32), half_wh, float(rng.normal(0, 0.12)), skin, glints.astype(np.float32))


def _portrait(rng: np.random.Generator, face: _Face, size: tuple[int, int], *, unseen: bool) -> Canvas:
    """Paint the portrait from back to front."""
    canvas = paint(rng, size, unseen=unseen)
    if rng.random() < 0.4:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(1, 6))), dtype=np.float32)
    hair = colour(rng, natural=0.9) * np.float32(rng.uniform(0.25, 0.8))
    _body(rng, canvas, face, hair)
    _head(rng, canvas, face)
    _fringe(rng, canvas, face, hair)
    _features(rng, canvas, face, hair)
    if rng.random() < 0.3:
        _glasses(rng, canvas, face)
    return canvas


def _oval(canvas: Canvas, face: _Face, place: tuple[float, float], axes: tuple[float, float], ink: Canvas) -> None:
    lean = float(np.degrees(face.lean))
    cv2.ellipse(canvas, face.at(*place), face.axes(*axes), lean, 0, 360, ink.tolist(), -1, cv2.LINE_AA)


def _body(rng: np.random.Generator, canvas: Canvas, face: _Face, hair: Canvas) -> None:
    cloth = colour(rng)
    _oval(canvas, face, (0, -0.12), (1.22, rng.uniform(1.05, 1.6)), hair)
    _oval(canvas, face, (0, 2.2), (2.2, 1.1), cloth)
    neck = np.array([face.at(x, y) for x, y in ((-0.42, 0.6), (0.42, 0.6), (0.5, 1.4), (-0.5, 1.4))])
    cv2.fillPoly(canvas, [neck], (face.skin * 0.85).tolist(), cv2.LINE_AA)


def _head(rng: np.random.Generator, canvas: Canvas, face: _Face) -> None:
    """Paint ears and head, the skin textured and lit from one side, sometimes made up or in a soft shadow."""
    rows, columns = canvas.shape[:2]
    for side in (-1, 1):
        _oval(canvas, face, (side * 1.0, 0.0), (0.13, 0.2), face.skin * 0.9)
    mask = np.zeros((rows, columns), np.float32)
    cv2.ellipse(mask, face.at(0, 0), face.axes(1, 1), float(np.degrees(face.lean)), 0, 360, 1.0, -1, cv2.LINE_AA)
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    across = (x - face.centre[0]) / face.half_wh[0]
    down = (y - face.centre[1]) / face.half_wh[1]
    lamp = rng.uniform(-0.35, 0.35)
    shade = 1.05 - 0.3 * ((across - lamp) ** 2 + 0.5 * (down + 0.2) ** 2)
    pores = 1 + rng.uniform(0.01, 0.09) * cloud(rng, (columns, rows), 60, 2) + 0.05 * cloud(rng, (columns, rows), 5, 2)
    skin = face.skin * (shade * pores)[:, :, None]
    for _ in range(int(rng.integers(0, 3))):  # make-up and shadows: ovals with a wide soft edge
        spot = np.hypot(across - rng.uniform(-0.5, 0.5), down - rng.uniform(-0.5, 0.5)) / rng.uniform(0.2, 0.7)
        soft = np.clip((1.2 - spot) / 0.8, 0, 1)[:, :, None]
        skin = skin * (1 + soft * rng.normal(0, 0.07, 3))
    canvas += (skin.astype(np.float32) - canvas) * mask[:, :, None]


def _fringe(rng: np.random.Generator, canvas: Canvas, face: _Face, hair: Canvas) -> None:
    lean, half = float(np.degrees(face.lean)), face.axes(1.08, 1.1)
    start = rng.uniform(180, 205)
    cv2.ellipse(canvas, face.at(0, 0), half, lean, start, 540 - start, hair.tolist(), int(half[0] * 0.25), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 14))):
        a, b = rng.uniform(-0.9, 0.9), rng.uniform(-1.0, 1.0)
        start_at, end_at = face.at(a, -1.05), face.at(a + 0.25 * b, -1.0 + rng.uniform(0.1, 0.45))
        cv2.line(
            canvas, start_at, end_at, (hair * rng.uniform(0.8, 1.2)).tolist(), int(rng.integers(1, 4)), cv2.LINE_AA
        )


def _features(rng: np.random.Generator, canvas: Canvas, face: _Face, hair: Canvas) -> None:
    """Paint eyes with their highlights, brows, nose, mouth and sometimes a beard's stubble."""
    iris = colour(rng, natural=0.7) * 0.7
    wide, high, apart = rng.uniform(0.17, 0.23), rng.uniform(0.07, 0.11), rng.uniform(0.38, 0.45)
    level, thick = rng.uniform(-0.2, -0.1), int(max(2, face.half_wh[0] * rng.uniform(0.03, 0.08)))
    for side, glint in zip((-1, 1), face.glints, strict=True):
        _oval(canvas, face, (side * apart, level), (wide * 1.12, high * 1.3), face.skin * 0.72)
        _oval(canvas, face, (side * apart, level), (wide, high), np.array([225, 228, 232], np.float32))
        _oval(canvas, face, (side * apart, level), (high * 1.25, high), iris)
        _oval(canvas, face, (side * apart, level), (high * 0.6, high * 0.5), np.full(3, 15, np.float32))
        shine = (side * apart + glint[0] * high * 1.1, level + glint[1] * high)
        _oval(canvas, face, shine, (high * 0.36, high * 0.3), np.full(3, 252, np.float32))
        brow = [face.at(side * (apart + d), level - 0.2 - lift) for d, lift in ((-0.2, 0), (0.0, 0.05), (0.2, 0.0))]
        cv2.polylines(canvas, [np.array(brow)], False, (hair * 0.8).tolist(), thick, cv2.LINE_AA)
    nose = [face.at(x, y) for x, y in ((-0.02, -0.1), (-0.12, 0.25), (0.0, 0.3), (0.12, 0.25))]
    cv2.polylines(canvas, [np.array(nose)], False, (face.skin * 0.75).tolist(), max(1, thick // 2), cv2.LINE_AA)
    lip = face.skin * np.array([0.72, 0.62, 0.95], np.float32)
    _oval(canvas, face, (0, 0.55), (rng.uniform(0.22, 0.38), rng.uniform(0.05, 0.11)), lip)
    cv2.line(canvas, face.at(-0.25, 0.55), face.at(0.25, 0.55), (lip * 0.6).tolist(), max(1, thick // 2), cv2.LINE_AA)
    if rng.random() < 0.25:
        for x, y in np.stack([rng.uniform(-0.6, 0.6, 150), rng.uniform(0.35, 0.95, 150)], 1):
            if np.hypot(x, y) < 0.95:
                cv2.circle(canvas, face.at(x, y), 1, (hair * 0.7).tolist(), -1, cv2.LINE_AA)


def _glasses(rng: np.random.Generator, canvas: Canvas, face: _Face) -> None:
    ink, thick = (colour(rng) * 0.5).tolist(), int(rng.integers(1, 5))
    lean = float(np.degrees(face.lean))
    for side in (-1, 1):
        cv2.ellipse(canvas, face.at(side * 0.42, -0.14), face.axes(0.32, 0.24), lean, 0, 360, ink, thick, cv2.LINE_AA)
    cv2.line(canvas, face.at(-0.1, -0.14), face.at(0.1, -0.14), ink, thick, cv2.LINE_AA)


def _uneven_noise(rng: np.random.Generator, picture: Canvas) -> Canvas:
    """Add noise that grows smoothly to the middle or to the rim, as uneven light and lenses leave it in any picture."""
    rows, columns = picture.shape[:2]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    middle = np.exp(-(x**2 + y**2) * np.float32(rng.uniform(1.5, 4)))
    place = middle if rng.random() < 0.6 else 1 - middle
    grain = rng.normal(0, float(rng.uniform(0, 18)), picture.shape)
    return np.asarray(picture + grain * place[:, :, None], dtype=np.float32)


def _as_sharp(rng: np.random.Generator, inner: Canvas, whole: Canvas, face: _Face) -> Canvas:
    """Add the grain that moving and resampling took away, as a forger would: softness alone shall not tell a fake."""
    (x, y), (half_x, half_y) = face.at(0, 0), face.axes(0.6, 0.6)
    window = np.s_[max(0, y - half_y) : y + half_y, max(0, x - half_x) : x + half_x]
    missing = _edges(whole[window]) ** 2 - _edges(inner[window]) ** 2
    # The Laplacian of white noise has sqrt(20) times its deviation, and a normal value's mean size is sqrt(2 / pi).
    deviation = np.sqrt(max(0.0, missing) / (20 * 2 / np.pi))
    grain = rng.normal(0, 1, inner.shape[:2]) * deviation
    return np.asarray(inner + grain[:, :, None], dtype=np.float32)


def _edges(window: Canvas) -> float:
    return float(np.abs(cv2.Laplacian(cv2.cvtColor(window, cv2.COLOR_BGR2GRAY), cv2.CV_32F)).mean())


def _replace(rng: np.random.Generator, whole: Canvas, face: _Face, traces: set[str], strength: float) -> Canvas:
    """Replace the inner face by a reworked copy of itself, which leaves the given traces."""
    rows, columns = whole.shape[:2]
    inner = whole.copy()
    if "shift" in traces:
        angle, reach = rng.uniform(0, 2 * np.pi), 2.0 + 5.0 * strength
        move = cv2.getRotationMatrix2D(face.at(0, 0), float(rng.normal(0, 2.5)), float(rng.uniform(0.97, 1.03)))
        step = np.array([[0, 0, np.cos(angle)], [0, 0, np.sin(angle)]]) * reach
        moved = cv2.warpAffine(inner, move + step, (columns, rows), borderMode=cv2.BORDER_REFLECT)
        inner = np.asarray(moved, dtype=np.float32)
    if "resampling" in traces:
        factor = 1.3 + 1.5 * strength
        small = cv2.resize(inner, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        inner = np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    inner = _as_sharp(rng, inner, whole, face)
    if "noise" in traces:
        grain = rng.normal(0, 3.0 + 7.0 * strength, inner.shape)
        if rng.random() < 0.5:
            inner = inner + grain
        else:  # a clean face in a noisy picture
            inner = np.asarray(cv2.GaussianBlur(inner, (0, 0), 1.0), dtype=np.float32)
            whole = whole + grain
    if "grid" in traces:
        period = int(rng.integers(3, 7))
        y, x = np.mgrid[:rows, :columns] % period
        inner = inner + ((x == 0) | (y == 0))[:, :, None] * (2.0 + 6.0 * strength) * rng.choice([-1, 1])
    edge = rng.uniform(0.8, 2.5)
    step = rng.normal(0, 1, 3) + rng.choice([-1.2, 1.2])
    inner = inner + step / np.linalg.norm(step) * (14.0 + 18.0 * strength)
    mask = np.zeros((rows, columns), np.float32)
    axes = face.axes(rng.uniform(0.68, 0.84), rng.uniform(0.6, 0.8))
    lean = float(np.degrees(face.lean) + rng.normal(0, 6))
    centre = face.at(float(rng.normal(0, 0.04)), float(rng.normal(0.08, 0.04)))
    cv2.ellipse(mask, centre, axes, lean, 0, 360, 1.0, -1, cv2.LINE_AA)
    share = cv2.GaussianBlur(mask, (0, 0), edge)[:, :, None]
    return np.asarray(whole + (inner - whole) * share, dtype=np.float32)
