"""Whether two models say the same: one picture's answers, detection by detection."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from processors.infer.boxes import box_iou
from processors.infer.interface import Answer
from schemas.modelcard import Thresholds
from schemas.result import Classification, Detection
from sightline.models.geometry import Doubles, mask_iou
from sightline.models.tally import rings_of

# Below this overlap two boxes are different objects rather than the same one, badly placed.
_SAME_OBJECT: Final = 0.5
# One that is missing weighs more than any deviation.
_MISSING_WEIGHT: Final = 1000.0
_MASK_RESOLUTION: Final = 512


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far two answers may be apart. A detection so near a threshold may appear or vanish."""

    box_iou: float
    score: float
    mask_iou: float
    keypoint_px: float
    near_threshold: float = 0.001


# Full precision: only the order of additions differs. Half precision: its numbers have 11 bits, and a
# score that may move by a hundredth may also move over a threshold from there.
FP32: Final = Tolerances(box_iou=0.99, score=0.005, mask_iou=0.98, keypoint_px=0.5)
FP16: Final = Tolerances(box_iou=0.98, score=0.01, mask_iou=0.98, keypoint_px=1.0, near_threshold=0.01)


@dataclass(frozen=True, slots=True)
class Deviations:
    """The worst that was seen over all pairs."""

    box_iou: float = 1.0
    score: float = 0.0
    mask_iou: float = 1.0
    keypoint_px: float = 0.0

    def worse(self, other: "Deviations") -> "Deviations":
        """Join two, keeping the worse of each."""
        return Deviations(
            min(self.box_iou, other.box_iou),
            max(self.score, other.score),
            min(self.mask_iou, other.mask_iou),
            max(self.keypoint_px, other.keypoint_px),
        )

    def weight(self, allowed: Tolerances) -> float:
        """Return the largest deviation, where 1 is what is just allowed."""
        return max(
            (1 - self.box_iou) / (1 - allowed.box_iou),
            self.score / allowed.score,
            (1 - self.mask_iou) / (1 - allowed.mask_iou),
            self.keypoint_px / allowed.keypoint_px,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """One picture: how many detections (or 1 classification) the original gives, and what is different.

    `near_threshold` counts what came or went at a threshold; `ties` where the variant keeps another of several boxes
    for one object, of which the original is as sure.
    """

    expected: int
    near_threshold: int
    ties: int
    problems: tuple[str, ...]
    deviations: Deviations = field(default_factory=Deviations)
    weight: float = 0.0


def compare(
    original: Answer, variant: Answer, thresholds: Thresholds, allowed: Tolerances, candidates: Answer | None = None
) -> Comparison:
    """Compare two answers to the same picture, asked with the same thresholds.

    `candidates` is what the original says when nothing is suppressed; without it no tie is seen as such.
    """
    if original.classification is not None and variant.classification is not None:
        return _compare_classes(original.classification, variant.classification, allowed)
    others = (candidates.detections if candidates is not None else None) or ()
    return _compare_detections(original.detections or (), variant.detections or (), thresholds, allowed, others)


def pair(
    expected: Sequence[Detection], found: Sequence[Detection], least_iou: float = _SAME_OBJECT
) -> Iterator[tuple[int, int]]:
    """Yield index pairs of detections of one class, best overlap first, each used once."""
    alike = box_iou(_boxes(expected), _boxes(found))
    candidates = [
        (alike[row, column], row, column)
        for row, column in zip(*np.nonzero(alike >= least_iou), strict=True)
        if expected[row].class_id == found[column].class_id
    ]
    rows, columns = set(), set()
    for _, row, column in sorted(candidates, key=lambda one: (-one[0], one[1], one[2])):
        if row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            yield int(row), int(column)


def _compare_detections(
    expected: Sequence[Detection],
    found: Sequence[Detection],
    thresholds: Thresholds,
    allowed: Tolerances,
    candidates: Sequence[Detection],
) -> Comparison:
    pairs = list(pair(expected, found))
    deviations, problems, ties = Deviations(), [], 0
    for row, column in pairs:
        one, tied = _deviations(expected[row], found[column]), False
        if one.box_iou < allowed.box_iou:
            one, tied = _as_tie(expected[row], found[column], one, allowed, candidates)
        ties += tied
        deviations = deviations.worse(one)
        problems += list(_problems(expected[row], one, allowed))
    lost = [one for row, one in enumerate(expected) if row not in {row for row, _ in pairs}]
    new = [one for column, one in enumerate(found) if column not in {column for _, column in pairs}]
    edge = _Edge(expected, found, thresholds, allowed.near_threshold)
    excused = sum(edge.excuses(one) for one in (*lost, *new))
    problems += [f"{_name(one)} is missing" for one in lost if not edge.excuses(one)]
    problems += [f"{_name(one)} is not in the original" for one in new if not edge.excuses(one)]
    weight = deviations.weight(allowed) + _MISSING_WEIGHT * (len(lost) + len(new) - excused)
    return Comparison(len(expected), excused, ties, tuple(problems), deviations, weight)


def _as_tie(
    expected: Detection, found: Detection, seen: Deviations, allowed: Tolerances, candidates: Sequence[Detection]
) -> tuple[Deviations, bool]:
    """Compare with a candidate of the original that is as sure as the one it kept, where that is what was found."""
    for other in candidates:
        if other.class_id != found.class_id or abs(other.confidence - expected.confidence) > allowed.score:
            continue
        one = _deviations(other, found)
        if one.box_iou >= allowed.box_iou and one.score <= allowed.score:
            return one, True
    return seen, False


@dataclass(frozen=True, slots=True)
class _Edge:
    """Tells whether a detection is one that a difference far below the tolerances makes appear or vanish."""

    expected: Sequence[Detection]
    found: Sequence[Detection]
    thresholds: Thresholds
    margin: float

    def excuses(self, one: Detection) -> bool:
        """At the confidence threshold, at the end of a full list, or at the IoU that suppresses."""
        if one.confidence <= self.thresholds.confidence + self.margin:
            return True
        sides = (self.expected, self.found)
        last = [side[-1].confidence for side in sides if len(side) >= self.thresholds.max_detections]
        if any(one.confidence <= confidence + self.margin for confidence in last):
            return True
        others = [other for side in sides for other in side if other is not one and other.class_id == one.class_id]
        overlaps = box_iou(_boxes([one]), _boxes(others)).ravel()
        return bool(np.any(np.abs(overlaps - self.thresholds.iou) <= self.margin))


def _deviations(expected: Detection, found: Detection) -> Deviations:
    masks = rings_of(expected), rings_of(found)
    return Deviations(
        box_iou=float(box_iou(_boxes([expected]), _boxes([found]))[0, 0]),
        score=abs(expected.confidence - found.confidence),
        mask_iou=mask_iou(*masks, _MASK_RESOLUTION) if any(masks) else 1.0,
        keypoint_px=_apart(expected, found),
    )


def _problems(expected: Detection, seen: Deviations, allowed: Tolerances) -> Iterator[str]:
    name = _name(expected)
    if seen.box_iou < allowed.box_iou:
        yield f"{name}: boxes overlap by {seen.box_iou:.4f}, at least {allowed.box_iou} is wanted"
    if seen.score > allowed.score:
        yield f"{name}: scores differ by {seen.score:.4f}, at most {allowed.score} is allowed"
    if seen.mask_iou < allowed.mask_iou:
        yield f"{name}: masks overlap by {seen.mask_iou:.4f}, at least {allowed.mask_iou} is wanted"
    if seen.keypoint_px > allowed.keypoint_px:
        yield f"{name}: a keypoint is {seen.keypoint_px:.2f} px off, at most {allowed.keypoint_px} is allowed"


def _compare_classes(expected: Classification, found: Classification, allowed: Tolerances) -> Comparison:
    wanted, got = expected.probabilities or {}, found.probabilities or {}
    score = max((abs(wanted[name] - got[name]) for name in wanted if name in got), default=1.0)
    deviations = Deviations(score=score)
    problems = [f"a probability differs by {score:.4f}, at most {allowed.score} is allowed"] * (score > allowed.score)
    other = expected.label != found.label
    # Two classes that are equally probable may change places.
    tied = other and wanted.get(expected.label, 0) - wanted.get(found.label, 0) <= allowed.near_threshold
    if other and not tied:
        problems.append(f"{found.label} instead of {expected.label}")
    weight = deviations.weight(allowed) + _MISSING_WEIGHT * (other and not tied)
    return Comparison(1, 0, int(tied), tuple(problems), deviations, weight)


def _apart(expected: Detection, found: Detection) -> float:
    """Return the largest distance of two keypoints, in pixels along the worse axis."""
    points = [np.array([row[:2] for row in one.keypoints or ()], float) for one in (expected, found)]
    if not points[0].size or points[0].shape != points[1].shape:
        return 0.0
    return float(np.abs(points[0] - points[1]).max())


def _name(one: Detection) -> str:
    return f"{one.class_name} {one.confidence:.3f} at ({one.bbox[0]:.0f}, {one.bbox[1]:.0f})"


def _boxes(detections: Sequence[Detection]) -> Doubles:
    return np.array([one.bbox for one in detections], float).reshape(-1, 4)
