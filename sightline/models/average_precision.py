"""Average precision, with precision, recall and F1 over the confidence.

A detection is right at an IoU threshold when it is of the object's class, overlaps it at least so much, and no
detection of higher confidence took that object before. AP is the area under the best precision at a recall or a
higher one, straight between the recalls that occur and sampled at 0, 0.01 ... 1: as ultralytics' `val` has it, so that
numbers can be compared with those of training. COCO's own goes down in steps, and is lower by less than one object's
share. Classes without a labelled object don't count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sightline.models.geometry import Doubles

Flags = NDArray[np.bool_]
Ids = NDArray[np.int64]

IOU_THRESHOLDS: Final = np.linspace(0.5, 0.95, 10)
RECALLS: Final = np.linspace(0.0, 1.0, 101)
CONFIDENCES: Final = np.linspace(0.0, 1.0, 1001)
_EPSILON: Final = 1e-12


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: how many objects are labelled, its AP, its curves, and its point at the best confidence of all.

    `precision_at_recall` goes over RECALLS; `precision` and `recall` over CONFIDENCES: what remains when only
    detections above that confidence count (both at IoU 0.5).
    """

    objects: int
    ap50: float
    ap50_95: float
    precision_at_recall: Doubles
    precision: Doubles
    recall: Doubles

    @property
    def f1(self) -> Doubles:
        """The harmonic mean of precision and recall, over CONFIDENCES."""
        return np.asarray(2 * self.precision * self.recall / np.maximum(self.precision + self.recall, _EPSILON))


@dataclass(frozen=True, slots=True)
class Scores:
    """All classes that have a labelled object, by their index."""

    classes: Mapping[int, ClassScore]

    @property
    def map50(self) -> float:
        """Mean AP at IoU 0.5; 0 where nothing is labelled."""
        return _mean([score.ap50 for score in self.classes.values()])

    @property
    def map50_95(self) -> float:
        """Mean AP over the IoU thresholds 0.5, 0.55 ... 0.95."""
        return _mean([score.ap50_95 for score in self.classes.values()])

    @property
    def best(self) -> int:
        """The index into CONFIDENCES at which the classes' mean F1 is highest."""
        curves = [score.f1 for score in self.classes.values()]
        return int(np.argmax(np.mean(curves, axis=0))) if curves else 0

    def at_best(self) -> tuple[float, float, float, float]:
        """Return the confidence of the highest mean F1, and mean precision, recall and F1 there."""
        at = self.best
        points = [[score.precision[at], score.recall[at], score.f1[at]] for score in self.classes.values()]
        precision, recall, f1 = np.mean(points, axis=0).tolist() if points else (0.0, 0.0, 0.0)
        return float(CONFIDENCES[at]), precision, recall, f1


def match(similarity: Doubles, found_classes: Ids, true_classes: Ids) -> Flags:
    """Tell which detections of one picture are right, at each of IOU_THRESHOLDS: n x 10.

    `similarity` is detections x objects; the detections are in the order of falling confidence.
    """
    right = np.zeros((len(found_classes), len(IOU_THRESHOLDS)), bool)
    if not similarity.size:
        return right
    comparable = np.where(found_classes[:, None] == true_classes[None, :], similarity, 0.0)
    for column, threshold in enumerate(IOU_THRESHOLDS):
        free = np.ones(len(true_classes), bool)
        for row in np.flatnonzero(comparable.max(axis=1) >= threshold):
            candidates = np.where(free, comparable[row], 0.0)
            chosen = int(np.argmax(candidates))
            if candidates[chosen] >= threshold:
                right[row, column] = True
                free[chosen] = False
    return right


def score(right: Flags, confidences: Doubles, found_classes: Ids, true_classes: Ids) -> Scores:
    """Score all detections of a data set (`right` is n x 10, from `match`) against all its labelled classes."""
    order = np.argsort(-confidences, kind="stable")
    right, confidences, found_classes = right[order], confidences[order], found_classes[order]
    scores = {}
    for class_id, objects in zip(*np.unique(true_classes, return_counts=True), strict=True):
        mine = found_classes == class_id
        scores[int(class_id)] = _score_class(right[mine], confidences[mine], int(objects))
    return Scores(scores)


def _score_class(right: Flags, confidences: Doubles, objects: int) -> ClassScore:
    found = np.cumsum(right, axis=0)
    counted = np.arange(1, len(right) + 1)[:, None]
    recall, precision = found / objects, found / counted
    at_recall = np.array([_precision_at_recall(recall[:, i], precision[:, i]) for i in range(len(IOU_THRESHOLDS))])
    # How many detections lie above each confidence; they are sorted by falling confidence.
    above = np.searchsorted(-confidences, -CONFIDENCES, side="left")
    right_above = np.concatenate(([0], found[:, 0]))[above]
    return ClassScore(
        objects=objects,
        ap50=float(np.trapezoid(at_recall[0], RECALLS)),
        ap50_95=float(np.trapezoid(at_recall, RECALLS, axis=1).mean()),
        precision_at_recall=at_recall[0],
        precision=np.where(above > 0, right_above / np.maximum(above, 1), 1.0),
        recall=right_above / objects,
    )


def _precision_at_recall(recall: Doubles, precision: Doubles) -> Doubles:
    """Return, for each of RECALLS, the best precision at that recall or a higher one; 0 beyond the last reached."""
    if not len(recall):
        return np.zeros(len(RECALLS))
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    between = np.interp(RECALLS, [0.0, *recall], [1.0, *best_from_here])
    return np.where(recall[-1] + _EPSILON >= RECALLS, between, 0.0)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
