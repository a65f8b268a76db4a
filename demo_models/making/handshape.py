"""Where the 21 landmarks of a hand are: a jointed hand in space, its fingers open or closed, seen from some side.

Order of the landmarks: wrist, then thumb, index, middle, ring and little finger, four each from the base to the tip.
Lengths are in palms (wrist to the middle finger's base); x points to the thumb, y to the fingers, z to the viewer.
"""

from dataclasses import dataclass

import numpy as np

from demo_models.making.scene import Points

FINGERS = ("thumb", "index", "middle", "ring", "little")
GESTURES: dict[str, tuple[bool, bool, bool, bool, bool]] = {
    "Open": (True, True, True, True, True),
    "Close": (False, False, False, False, False),
    "One": (False, True, False, False, False),
    "Two": (False, True, True, False, False),
    "Three": (False, True, True, True, False),
    "Four": (False, True, True, True, True),
    "Thumb": (True, False, False, False, False),
    "Call": (True, False, False, False, True),
}
MOST_TURN = np.pi / 3
_BASES = ((0.24, 0.20), (0.28, 0.95), (0.05, 1.0), (-0.16, 0.93), (-0.35, 0.82))
_LENGTHS = ((0.42, 0.32, 0.27), (0.45, 0.28, 0.22), (0.50, 0.31, 0.23), (0.46, 0.29, 0.22), (0.36, 0.21, 0.19))
_FAN = (0.0, 8.0, 1.0, -7.0, -16.0)
_OPEN_BENDS = (5.0, 8.0, 5.0)
_CLOSED_BENDS = (66.0, 96.0, 52.0)
_OPEN_THUMB = (46.0, 40.0, 34.0)
_CLOSED_THUMB = (24.0, -38.0, -66.0)
_THUMB_RISE = 0.12


@dataclass(frozen=True)
class Shape:
    """Landmarks (21, 3) in palms, y upwards, z to the viewer; `tilt` is how far the palm looks away (radians)."""

    points: Points
    gesture: str
    tilt: float


def shape(rng: np.random.Generator, gesture: str, *, most_tilt: float = 0.45) -> Shape:
    """Return a random left or right hand that makes the gesture, turned by up to 60 degrees."""
    points = _jointed(rng, GESTURES[gesture])
    points[:, :2] *= rng.normal(1.0, 0.05, 2)
    if rng.random() < 0.5:
        points[:, 0] *= -1
    nod, shake = rng.uniform(-most_tilt, most_tilt, 2)
    turn = rng.uniform(-MOST_TURN, MOST_TURN)
    seen = points @ (_about_z(turn) @ _about_x(nod) @ _about_y(shake)).T
    return Shape(seen.astype(np.float32), gesture, float(np.hypot(nod, shake)))


def _jointed(rng: np.random.Generator, states: tuple[bool, ...]) -> Points:
    """Bend each joint of a right hand whose palm looks at the viewer."""
    spread = rng.uniform(0.4, 1.9)
    chains: list[Points] = [np.zeros((1, 3))]
    for finger, is_open in enumerate(states):
        chain = _thumb(rng, is_open=is_open) if finger == 0 else _finger(rng, finger, spread, is_open=is_open)
        chains.append(chain)
    return np.concatenate(chains).astype(np.float32)


def _thumb(rng: np.random.Generator, *, is_open: bool) -> Points:
    angles = np.radians(np.array(_OPEN_THUMB if is_open else _CLOSED_THUMB) + rng.normal(0, 6) + rng.normal(0, 4, 3))
    steps = np.stack([np.sin(angles), np.cos(angles), np.zeros(3)], 1) * _stretched(rng, 0)[:, None]
    steps[:, 2] = 0.02 if is_open else _THUMB_RISE
    return np.cumsum(np.concatenate([_base(rng, 0), steps]), axis=0).astype(np.float32)


def _finger(rng: np.random.Generator, finger: int, spread: float, *, is_open: bool) -> Points:
    aim = np.radians(_FAN[finger] * (spread if is_open else 0.5) + rng.normal(0, 3))
    bends = np.array(_OPEN_BENDS if is_open else _CLOSED_BENDS) + rng.normal(0, 6, 3)
    bent = np.radians(np.cumsum(bends))
    forward = np.cos(bent)
    steps = np.stack([np.sin(aim) * forward, np.cos(aim) * forward, np.sin(bent)], 1) * _stretched(rng, finger)[:, None]
    return np.cumsum(np.concatenate([_base(rng, finger), steps]), axis=0).astype(np.float32)


def _base(rng: np.random.Generator, finger: int) -> Points:
    return np.array([[*(np.array(_BASES[finger]) + rng.normal(0, 0.015, 2)), 0.0]], np.float32)


def _stretched(rng: np.random.Generator, finger: int) -> Points:
    return (np.array(_LENGTHS[finger]) * rng.normal(1.0, 0.05, 3)).astype(np.float32)


def _about_x(angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)


def _about_y(angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def _about_z(angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
