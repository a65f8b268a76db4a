"""Collects what a model found on labelled pictures, one picture after another, and scores it at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from processors.infer.boxes import box_iou
from processors.infer.interface import Answer
from schemas.modelcard import Task
from schemas.result import Detection
from sightline.models.average_precision import IOU_THRESHOLDS, Flags, Scores, match, score
from sightline.models.geometry import Doubles, keypoint_similarity, mask_iou
from sightline.models.labels import Truth

# By what a detection is compared with an object; the first is the task's own, as its name is without a prefix.
KINDS: Final[Mapping[Task, tuple[str, ...]]] = {
    Task.DETECT: ("",),
    Task.SEGMENT: ("", "mask-"),
    Task.POSE: ("", "OKS-"),
}
_TOP: Final = 5
_MATCHED_IOU: Final = 0.5


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model is worth. `confusion` counts objects: rows are the truth, columns what was found.

    For detection the last row and column are "nothing", and it counts at the confidence `counted_above`. `scores`
    are by kind: "" for boxes, `mask-`, `OKS-`.
    """

    classes: tuple[str, ...]
    pictures: int
    objects: int
    metrics: Mapping[str, float]
    by_class: Mapping[str, Mapping[str, float]]
    confusion: Doubles
    counted_above: float = 0.0
    scores: Mapping[str, Scores] = field(default_factory=dict)


class DetectionTally:
    """For detect, segment and pose. `classes` are in the order of the model's outputs, which truths use as well."""

    def __init__(self, task: Task, classes: Sequence[str], counted_above: float) -> None:
        self._kinds = KINDS[task]
        self._classes = tuple(classes)
        self._counted_above = counted_above
        self._right: dict[str, list[Flags]] = {kind: [] for kind in self._kinds}
        self._confidences: list[float] = []
        self._found: list[int] = []
        self._true: list[int] = []
        self._pictures = 0
        self._confusion = np.zeros((len(classes) + 1, len(classes) + 1))

    def add(self, truths: Sequence[Truth], answer: Answer) -> None:
        """Count one picture; truths are in its pixels, detections by falling confidence."""
        detections = answer.detections or ()
        found = np.array([one.class_id for one in detections], np.int64)
        true = np.array([one.class_id for one in truths], np.int64)
        boxes = box_iou(_boxes([one.bbox for one in detections]), _boxes([one.bbox for one in truths]))
        for kind in self._kinds:
            self._right[kind].append(match(_similarity(kind, detections, truths, boxes), found, true))
        self._confidences += [one.confidence for one in detections]
        self._found += found.tolist()
        self._true += true.tolist()
        self._pictures += 1
        self._confuse(detections, truths, boxes)

    def finish(self) -> Evaluation:
        """Score everything that was added."""
        confidences, found = np.array(self._confidences), np.array(self._found, np.int64)
        true = np.array(self._true, np.int64)
        scores = {kind: score(_joined(self._right[kind]), confidences, found, true) for kind in self._kinds}
        confidence, precision, recall, f1 = scores[self._kinds[-1]].at_best()
        metrics = {name: value for kind in self._kinds for name, value in _means(kind, scores[kind]).items()}
        metrics |= {"precision": precision, "recall": recall, "F1": f1, "best-confidence": confidence}
        return Evaluation(
            classes=self._classes,
            pictures=self._pictures,
            objects=len(true),
            metrics=metrics,
            by_class={self._classes[number]: self._row(scores, number) for number in scores[""].classes},
            confusion=self._confusion,
            counted_above=self._counted_above,
            scores=scores,
        )

    def _row(self, scores: Mapping[str, Scores], number: int) -> dict[str, float]:
        row: dict[str, float] = {"objects": scores[""].classes[number].objects}
        for kind, of_kind in scores.items():
            row |= {f"{kind}mAP50": of_kind.classes[number].ap50, f"{kind}mAP50-95": of_kind.classes[number].ap50_95}
        own = scores[self._kinds[-1]]
        best = own.classes[number]
        at = own.best
        return row | {
            "precision": float(best.precision[at]),
            "recall": float(best.recall[at]),
            "F1": float(best.f1[at]),
        }

    def _confuse(self, detections: Sequence[Detection], truths: Sequence[Truth], boxes: Doubles) -> None:
        """Pair objects and confident detections by box alone, the best overlap first, so that a mix-up shows."""
        nothing = len(self._classes)
        confident = [row for row, one in enumerate(detections) if one.confidence > self._counted_above]
        pairs = [(boxes[row, column], row, column) for row in confident for column in range(len(truths))]
        free_rows, free_columns = set(confident), set(range(len(truths)))
        for iou, row, column in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
            if iou >= _MATCHED_IOU and row in free_rows and column in free_columns:
                self._confusion[truths[column].class_id, detections[row].class_id] += 1
                free_rows.discard(row)
                free_columns.discard(column)
        for column in free_columns:
            self._confusion[truths[column].class_id, nothing] += 1
        for row in free_rows:
            self._confusion[nothing, detections[row].class_id] += 1


class ClassTally:
    """For classify. `classes` are the names that answers carry."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(dict.fromkeys(classes))
        self._confusion = np.zeros((len(self._classes), len(self._classes)))
        self._in_top = np.zeros(len(self._classes))

    def add(self, truth: str, answer: Answer) -> None:
        """Count one picture whose class is named `truth`."""
        said = answer.classification
        if said is None:
            raise ValueError("an answer without a classification")
        row = self._classes.index(truth)
        self._confusion[row, self._classes.index(said.label)] += 1
        self._in_top[row] += truth in list(said.probabilities or {said.label: 1.0})[:_TOP]

    def finish(self) -> Evaluation:
        """Score everything that was added; `precision`, `recall` and `F1` are means over the classes that occur."""
        pictures, correct = self._confusion.sum(), np.trace(self._confusion)
        rows = {name: self._row(number) for number, name in enumerate(self._classes) if self._confusion[number].sum()}
        metrics = {
            "accuracy": float(correct / pictures) if pictures else 0.0,
            "top5": float(self._in_top.sum() / pictures) if pictures else 0.0,
        }
        for name in ("precision", "recall", "F1"):
            metrics[name] = float(np.mean([row[name] for row in rows.values()])) if rows else 0.0
        return Evaluation(self._classes, int(pictures), int(pictures), metrics, rows, self._confusion)

    def _row(self, number: int) -> dict[str, float]:
        right = self._confusion[number, number]
        pictures, called = self._confusion[number].sum(), self._confusion[:, number].sum()
        precision, recall = right / called if called else 0.0, right / pictures
        return {
            "objects": float(pictures),
            "precision": float(precision),
            "recall": float(recall),
            "F1": float(2 * precision * recall / (precision + recall)) if right else 0.0,
            "top5": float(self._in_top[number] / pictures),
        }


def rings_of(detection: Detection) -> list[Doubles]:
    """Return a detection's mask as rings: its parts, or its polygon, or none."""
    rings = detection.parts or ([detection.polygon] if detection.polygon else [])
    return [np.array(ring, float) for ring in rings]


def _similarity(kind: str, detections: Sequence[Detection], truths: Sequence[Truth], boxes: Doubles) -> Doubles:
    if kind == "":
        return boxes
    alike = np.zeros_like(boxes)
    for row, column in zip(*np.nonzero(boxes > 0), strict=True):
        detection, truth = detections[row], truths[column]
        if detection.class_id != truth.class_id:
            continue
        if kind == "mask-" and truth.polygon is not None:
            alike[row, column] = mask_iou(rings_of(detection), [truth.polygon])
        elif kind == "OKS-" and truth.keypoints is not None:
            points = np.array([point[:2] for point in detection.keypoints or ()], float)
            alike[row, column] = keypoint_similarity(truth.keypoints, truth.bbox.tolist(), points)
    return alike


def _means(kind: str, scores: Scores) -> dict[str, float]:
    return {f"{kind}mAP50": scores.map50, f"{kind}mAP50-95": scores.map50_95}


def _boxes(boxes: Sequence[Sequence[float] | Doubles]) -> Doubles:
    return np.array(boxes, float).reshape(-1, 4)


def _joined(rows: Sequence[Flags]) -> Flags:
    return np.concatenate([np.zeros((0, len(IOU_THRESHOLDS)), bool), *rows])
