"""Segmentation: detection, and for each object the outline of its mask."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from processors.infer.activation import finite, invalid
from processors.infer.detect import Found, describe, find, rounded
from processors.infer.interface import Answer, Floats, Prepared, Tensor
from processors.infer.masks import Ring, join, mask_in_box, rings
from processors.infer.picture import PictureHead, to_original
from schemas.modelcard import Thresholds
from schemas.result import Detection

# Of all outlines of a picture. 300 round objects have some tens of thousands; so many take 40 MB, and 6 MB as JSON.
MAX_POINTS: Final = 300_000
_WRITTEN_OF_PIECES: Final = 3  # once in `parts`, up to twice in `polygon`


class SegmentHead(PictureHead):
    """See Head. Outputs are [pictures, 4 + classes + k, anchors], or [pictures, n, 6 + k] end to end, and k prototypes.

    A detection with an empty mask is dropped. `polygon` is one ring; `parts` are the rings of a mask that is in
    several pieces, and absent else. A piece of one or two pixels has a ring of so many points. Masks with more than
    MAX_POINTS points of outline in one picture are refused (`inference_invalid`).
    """

    def read(self, outputs: Sequence[Tensor], batch: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Answer]:
        """See Head."""
        arrays = finite(outputs)
        rows, prototypes = sorted(arrays, key=np.ndim)
        return [
            Answer(detections=tuple(_outlined(find(own, self.card, thresholds), its, prepared, self)))
            for own, its, prepared, thresholds in zip(rows, prototypes, batch, asked, strict=True)
        ]


def _outlined(found: Found, prototypes: Floats, prepared: Prepared, head: SegmentHead) -> list[Detection]:
    height, width = prepared.tensor.shape[:2]
    outlined = []
    points = 0
    for index, detection in enumerate(describe(found, prepared, head.card)):
        mask = mask_in_box(found.extras[index], prototypes, found.boxes_xyxy[index], (width, height))
        pieces = rings(mask)
        points += sum(map(len, pieces)) * (1 if len(pieces) == 1 else _WRITTEN_OF_PIECES)
        if points > MAX_POINTS:
            raise invalid("the model's masks have outlines so ragged that they are noise")
        if pieces:
            outlined.append(_with_outline(detection, pieces, prepared))
    return outlined


def _with_outline(detection: Detection, pieces: Sequence[Ring], prepared: Prepared) -> Detection:
    parts = [_outline(piece, prepared) for piece in pieces] if len(pieces) > 1 else None
    return detection.model_copy(update={"polygon": _outline(join(pieces), prepared), "parts": parts})


def _outline(ring: Ring, prepared: Prepared) -> list[list[float]]:
    outline: list[list[float]] = rounded(to_original(ring.astype(np.float32), prepared), 2)
    return outline
