"""Two sets of answers side by side: which detections are the same, and what is wrong where they are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.infer.boxes import iou
from processors.infer.classify import MAX_LISTED
from processors.infer.interface import Answer
from schemas.result import Detection

LEAST_BOX_IOU = 0.99
LEAST_MASK_IOU = 0.98
MOST_SCORE = 0.005
MOST_POINT_PX = 0.5
NEAR_THRESHOLD = 0.001
# Results carry two decimals, so a box that is thinner than a pixel can't reach the IoU.
ROUNDING_PX = 0.02
_FINER = 4  # masks are painted at so many times the picture's size


@dataclass
class Tally:
    """What a comparison saw. `borderline` counts detections that only one side has, at the edge of a threshold."""

    pictures: int = 0
    reference: int = 0
    matched: int = 0
    borderline: int = 0
    problems: list[str] = field(default_factory=list)
    worst: dict[str, float] = field(default_factory=dict)

    def note(self, what: str, value: float, limit: float, where: str, *, least: bool = False) -> None:
        """Keep the worst value, and a problem where it is past its limit."""
        keep, bad = (min, value < limit) if least else (max, value > limit)
        self.worst[what] = keep(self.worst.get(what, value), value)
        if bad:
            self.problems.append(f"{where}: {what} {value:.4f}")

    def __str__(self) -> str:
        worst = ", ".join(f"{name} {value:.4f}" for name, value in sorted(self.worst.items()))
        return (
            f"{self.pictures} pictures, {self.reference} reference detections, {self.matched} matched, "
            f"{self.borderline} at a threshold, {len(self.problems)} problems; worst: {worst}"
        )


def compare(reference: Mapping[str, Any], ours: Answer, tally: Tally) -> None:
    """Add one picture to the tally."""
    tally.pictures += 1
    if ours.detections is not None:
        _compare_detections(reference, ours.detections, tally)
    elif ours.classification is not None:
        _compare_probabilities(reference, ours.classification.probabilities or {}, tally)


def _compare_probabilities(reference: Mapping[str, Any], ours: Mapping[str, float], tally: Tally) -> None:
    names = reference["classes"]
    wanted = dict(zip(names, reference["probabilities"], strict=True))
    for name, probability in sorted(wanted.items(), key=lambda item: -item[1])[:MAX_LISTED]:
        tally.note("probability off by", abs(ours.get(name, 0.0) - probability), MOST_SCORE, reference["file"])
    tally.reference += 1
    tally.matched += 1


def _compare_detections(reference: Mapping[str, Any], ours: Sequence[Detection], tally: Tally) -> None:
    left = list(ours)
    edges = _edges(reference, ours)
    for one in reference["detections"]:
        tally.reference += 1
        same = [found for found in left if found.class_id == one["class_id"] and _same_box(found.bbox, one["bbox"])]
        if same:
            best = max(same, key=lambda found: iou(found.bbox, one["bbox"]) - abs(found.confidence - one["confidence"]))
            left.remove(best)
            tally.matched += 1
            _compare_matched(one, best, reference, tally)
        else:
            _unmatched("ours lacks", one["confidence"], one["bbox"], edges, reference["file"], tally)
    for found in left:
        _unmatched("only ours has", found.confidence, found.bbox, edges, reference["file"], tally)


def _edges(reference: Mapping[str, Any], ours: Sequence[Detection]) -> list[float]:
    """Return the scores at which a detection may appear or vanish: the threshold, and the last of a full list."""
    edges = [float(reference["confidence"])]
    if len(reference["detections"]) == reference["max_detections"]:
        edges.append(min(one["confidence"] for one in reference["detections"]))
    if len(ours) == reference["max_detections"]:
        edges.append(min(found.confidence for found in ours))
    return edges


def _unmatched(
    what: str, confidence: float, box: Sequence[float], edges: Sequence[float], file: str, tally: Tally
) -> None:
    if any(abs(confidence - edge) <= NEAR_THRESHOLD for edge in edges):
        tally.borderline += 1
    else:
        tally.problems.append(f"{file}: {what} {confidence:.4f} at {[round(side, 1) for side in box]}")


def _same_box(one: Sequence[float], other: Sequence[float]) -> bool:
    nearly = max(abs(a - b) for a, b in zip(one, other, strict=True)) <= ROUNDING_PX
    return nearly or iou(one, other) >= LEAST_BOX_IOU


def _compare_matched(one: Mapping[str, Any], found: Detection, reference: Mapping[str, Any], tally: Tally) -> None:
    file = reference["file"]
    tally.note("score off by", abs(found.confidence - one["confidence"]), MOST_SCORE, file)
    if "polygon" in one:
        overlap = ring_iou(one["polygon"], found.polygon or [], reference["wh"])
        tally.note("mask IoU", overlap, LEAST_MASK_IOU, file, least=True)
    if "keypoints" in one:
        places, scores = _point_errors(one["keypoints"], found.keypoints or [])
        tally.note("keypoint px", places, MOST_POINT_PX, file)
        tally.note("visibility off by", scores, MOST_SCORE, file)


def _point_errors(reference: Sequence[Sequence[float]], ours: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    assert len(reference) == len(ours)
    wanted, got = np.array(reference, float), np.array(ours, float)
    distance = np.linalg.norm(wanted[:, :2] - got[:, :2], axis=1).max()
    if wanted.shape[1] == 2:
        assert np.isnan(got[:, 2]).all()
        return float(distance), 0.0
    return float(distance), float(np.abs(wanted[:, 2] - got[:, 2]).max())


def ring_iou(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]], wh: Sequence[int]) -> float:
    """Return the IoU of what two rings enclose."""
    first, second = _painted(one, wh), _painted(other, wh)
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _painted(ring: Sequence[Sequence[float]], wh: Sequence[int]) -> NDArray[np.bool_]:
    canvas = np.zeros((wh[1] * _FINER + 1, wh[0] * _FINER + 1), np.uint8)
    if len(ring):
        cv2.fillPoly(canvas, [np.round(np.array(ring) * _FINER).astype(np.int32)], (1,))
    return canvas.astype(bool)
