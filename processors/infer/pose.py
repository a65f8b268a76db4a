"""Pose: detection, and for each object its keypoints."""

from collections.abc import Sequence
from typing import cast

from processors.infer.activation import finite
from processors.infer.detect import Found, describe, find, rounded
from processors.infer.interface import Answer, Floats, Prepared, Tensor
from processors.infer.picture import PictureHead, to_original
from schemas.modelcard import Keypoints, ModelCard, Thresholds
from schemas.result import Detection

_WITH_VISIBILITY = 3


class PoseHead(PictureHead):
    """See Head. The only output is [pictures, 4 + classes + points, anchors], or [pictures, n, 6 + points] end to end.

    Points stand one after the other, x, y and, by the card, visibility. They are clipped to the picture.
    """

    def read(self, outputs: Sequence[Tensor], batch: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Answer]:
        """See Head."""
        (rows,) = finite(outputs)
        return [
            Answer(detections=tuple(_with_keypoints(find(own, self.card, thresholds), prepared, self.card)))
            for own, prepared, thresholds in zip(rows, batch, asked, strict=True)
        ]


def _with_keypoints(found: Found, prepared: Prepared, card: ModelCard) -> list[Detection]:
    detections = describe(found, prepared, card)
    rows = _rows(found.extras, prepared, cast("Keypoints", card.keypoints))
    return [detection.model_copy(update={"keypoints": own}) for detection, own in zip(detections, rows, strict=True)]


def _rows(extras: Floats, prepared: Prepared, keypoints: Keypoints) -> list[list[list[float | None]]]:
    """Return for each object its rows [x, y, visibility] in the original; visibility is null if the model has none."""
    points = extras.reshape(len(extras), keypoints.count, keypoints.dimensions)
    places = rounded(to_original(points[..., :2], prepared), 2)
    seen = _visibilities(points)
    return [
        [[*place, visibility] for place, visibility in zip(of_one, seen_of_one, strict=True)]
        for of_one, seen_of_one in zip(places, seen, strict=True)
    ]


def _visibilities(points: Floats) -> list[list[float | None]]:
    if points.shape[2] < _WITH_VISIBILITY:
        return [[None] * points.shape[1] for _ in points]
    rows: list[list[float | None]] = rounded(points[..., 2], 4)
    return rows
