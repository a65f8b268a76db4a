"""What a drawn scene is: a picture and the exact truth about it."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Canvas = npt.NDArray[np.floating[Any]]
Points = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

SEEN_SIZES_WH = ((320, 320), (400, 300), (300, 400), (360, 360), (448, 320))
UNSEEN_SIZES_WH = ((416, 312), (288, 384), (512, 352), (336, 336), (640, 480))


@dataclass(frozen=True)
class Thing:
    """One object: its class and where it is, in pixels of the picture, origin at the top left corner.

    `box_xyxy` bounds what can be seen. `parts` are the polygons (n, 2) of what can be seen, one for each piece.
    `points` is (k, 3): x, y and 2 where the point can be seen, 1 where it is covered.
    """

    label: str
    box_xyxy: tuple[float, float, float, float]
    parts: tuple[Points, ...] = ()
    points: Points | None = None
    pose: str = ""


@dataclass(frozen=True)
class Scene:
    """A picture (height, width, 3; uint8; BGR), its objects or its class, and how hard it is (0 easy, 1 hard)."""

    picture_bgr: Picture
    things: tuple[Thing, ...]
    difficulty: float
    label: str = ""


class Drawer(Protocol):
    """Draws the scene of a seed: the same seed gives the same scene."""

    def __call__(self, seed: int, *, unseen: bool = False, size_wh: tuple[int, int] | None = None) -> Scene:
        """Draw; `unseen` takes other backgrounds, sizes and random numbers than training ever sees."""
        ...


def generator(kind: int, seed: int, *, unseen: bool) -> np.random.Generator:
    """Return the random numbers of one scene; kinds, seeds and both worlds never share a stream."""
    return np.random.default_rng([kind, int(unseen), seed])


def choose_size(rng: np.random.Generator, *, unseen: bool, size_wh: tuple[int, int] | None) -> tuple[int, int]:
    """Return the asked size, else one of the sizes of training, or of those that training never sees."""
    sizes = UNSEEN_SIZES_WH if unseen else SEEN_SIZES_WH
    drawn = sizes[int(rng.integers(len(sizes)))]
    return size_wh or drawn


def box_of(mask: Mask) -> tuple[float, float, float, float]:
    """Return the box x1, y1, x2, y2 of a mask that is not empty; x2 and y2 lie behind the last pixel."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
