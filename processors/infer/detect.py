"""Detection: boxes with a class and a score. Segmentation and pose start from the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.infer.activation import activate, as_probabilities, finite, invalid
from processors.infer.interface import Answer, Floats, Prepared, Tensor
from processors.infer.nms import Indices, by_falling_score, suppress
from processors.infer.picture import PictureHead, to_original
from schemas.modelcard import ModelCard, Thresholds
from schemas.result import Detection

_BOX = 4
_END_TO_END = 6  # box, score, class


@dataclass(frozen=True, slots=True)
class Found:
    """The objects of one picture, by falling score; boxes in pixels of the input, not clipped.

    `extras` are what follows box and scores: mask coefficients or keypoints.
    """

    boxes_xyxy: Floats
    scores: Floats
    classes: Indices
    extras: Floats


class DetectHead(PictureHead):
    """See Head. The only output is [pictures, 4 + classes, anchors], or [pictures, n, 6] end to end."""

    def read(self, outputs: Sequence[Tensor], batch: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Answer]:
        """See Head."""
        (rows,) = finite(outputs)
        return [
            Answer(detections=tuple(describe(find(own, self.card, thresholds), prepared, self.card)))
            for own, prepared, thresholds in zip(rows, batch, asked, strict=True)
        ]


def find(rows: Floats, card: ModelCard, thresholds: Thresholds) -> Found:
    """Select the objects of one picture from [4 + classes + extras, anchors], or [n, 6 + extras] end to end.

    Scores are strictly above the threshold; an anchor has its best class only. Raises InputError
    (`inference_invalid`) for scores that are no probabilities, and for classes that the card does not have.
    """
    return _end_to_end(rows, card, thresholds) if card.end_to_end else _from_anchors(rows, card, thresholds)


def describe(found: Found, prepared: Prepared, card: ModelCard) -> list[Detection]:
    """Return the objects as results carry them, boxes clipped to the picture."""
    corners = to_original(found.boxes_xyxy.reshape(-1, 2, 2), prepared)
    names = card.class_names
    return [
        Detection.model_validate({"class": names[index], "class_id": index, "confidence": score, "bbox": box})
        for index, score, box in zip(
            found.classes.tolist(), rounded(found.scores, 4), rounded(corners.reshape(-1, 4), 2), strict=True
        )
    ]


def rounded(values: NDArray[np.floating[Any]], decimals: int) -> Any:
    """Return lists, nested as the array is, of numbers with so many decimals; doubles, so that 0.1 prints as 0.1."""
    return np.round(values.astype(np.float64), decimals).tolist()


def _from_anchors(rows: Floats, card: ModelCard, thresholds: Thresholds) -> Found:
    first_extra = _BOX + len(card.classes)
    scores = as_probabilities(activate(rows[_BOX:first_extra], card.activation, axis=0))
    highest = scores.max(axis=0)
    above = np.flatnonzero(highest > thresholds.confidence)
    classes = scores[:, above].argmax(axis=0)
    boxes = _corners(rows[:_BOX, above].T)
    kept = suppress(boxes, highest[above], classes, thresholds.iou, thresholds.max_detections)
    return Found(boxes[kept], highest[above][kept], classes[kept], rows[first_extra:, above[kept]].T)


def _corners(centre_wh: Floats) -> Floats:
    half = centre_wh[:, 2:] / 2
    return np.concatenate([centre_wh[:, :2] - half, centre_wh[:, :2] + half], axis=1)


def _end_to_end(rows: Floats, card: ModelCard, thresholds: Thresholds) -> Found:
    scores = as_probabilities(rows[:, _BOX])
    above = np.flatnonzero(scores > thresholds.confidence)
    kept = above[by_falling_score(scores[above], thresholds.max_detections)]
    classes = rows[kept, _BOX + 1].astype(np.intp)
    if not ((classes >= 0) & (classes < len(card.classes))).all():
        raise invalid("the model names a class that its card does not have")
    return Found(rows[kept, :_BOX], scores[kept], classes, rows[kept, _END_TO_END:])
