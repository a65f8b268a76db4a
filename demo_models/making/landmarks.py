"""Landmarks as the gesture classifier takes them, and samples of them with a detector's errors."""

import numpy as np

from demo_models.making.handshape import GESTURES, shape
from demo_models.making.scene import Points

LABELS = tuple(GESTURES)
KIND = 5


def normalise(points: Points) -> Points:
    """Return landmarks (21, 2 or more) as 42 numbers x0, y0, x1, y1, ...

    They are moved to the wrist and divided by the largest distance from it, so all lie in -1..1. Without any distance
    all are zero. y points down, as in pictures.
    """
    moved = points[:, :2] - points[0, :2]
    farthest = float(np.hypot(moved[:, 0], moved[:, 1]).max())
    return np.asarray(moved / farthest if farthest > 0 else moved, dtype=np.float32).ravel()


def sample(seed: int, count: int, *, unseen: bool) -> tuple[Points, np.ndarray, Points]:
    """Return `count` normalised hands (count, 42), their classes, and how hard each is: the share of the error."""
    rng = np.random.default_rng([KIND, int(unseen), seed])
    rows, classes, errors = [], [], []
    for _ in range(count):
        index = int(rng.integers(len(LABELS)))
        hand = shape(rng, LABELS[index], most_tilt=0.5)
        flat = hand.points[:, :2] * np.array([1, -1], np.float32)
        error = float(rng.uniform(0.01, 0.09))
        slip = np.where(rng.random((21, 1)) < 0.04, 3.0, 1.0)  # now and then a point is far off
        rows.append(normalise((flat + rng.normal(0, error, flat.shape) * slip).astype(np.float32)))
        classes.append(index)
        errors.append(error)
    return np.stack(rows), np.array(classes), np.array(errors, np.float32)
