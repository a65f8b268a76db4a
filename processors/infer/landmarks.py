"""Landmarks: one object's keypoints, wherever and however large it is, to a class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.decode.pictures import Pixels
from processors.infer.classify import classify
from processors.infer.interface import Answer, Floats, Prepared, Tensor
from schemas.modelcard import ModelCard, Thresholds


def normalised(points_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one object's points (n, 2) as they are seen from the first (of a hand, the wrist).

    The largest distance from it becomes 1; where all points are one, all numbers are 0.
    """
    centred = points_xy - points_xy[0]
    reach = np.linalg.norm(centred, axis=1).max()
    return np.asarray(centred / reach if reach > 0 else centred)


@dataclass(frozen=True, slots=True)
class LandmarksHead:
    """See Head. The input is [objects, numbers], the only output as of classification."""

    card: ModelCard

    def prepare(self, bgr: Pixels) -> Prepared:  # noqa: ARG002 - Head's signature
        """Refuse: this model sees points, no pictures."""
        raise TypeError("a landmarks model takes points: prepare_points")

    def prepare_points(self, keypoints: Sequence[Sequence[float | None]]) -> Prepared:
        """Bring one object's rows [x, y, ...] to a float32 row x0, y0, x1, y1, ...

        They are `normalised`. Raises ValueError for another count of points than the card's input has.
        """
        points = np.array([row[:2] for row in keypoints], np.float64).reshape(-1, 2)
        if points.size != self.card.input_wh[0]:
            raise ValueError(f"{len(points)} points are {points.size} numbers, the model takes {self.card.input_wh[0]}")
        return Prepared(normalised(points).astype(np.float32).ravel(), (1, 1))

    def stack(self, batch: Sequence[Prepared]) -> Floats:
        """See Head: float32 [objects, numbers]."""
        return np.stack([prepared.tensor for prepared in batch]).astype(np.float32, copy=False)

    def read(self, outputs: Sequence[Tensor], batch: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Answer]:  # noqa: ARG002 - Head's signature
        """See Head."""
        return classify(outputs, self.card)
