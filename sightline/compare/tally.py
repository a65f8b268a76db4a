"""Running figures over any number of frames, in memory that grows with classes, cameras and verdicts only."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from sightline.compare.change import Change
from sightline.compare.shifts import Means, Shifts

Answers = tuple[str | None, str | None]  # what was said before and after
_SCORE_DECIMALS: Final = 1
_CONFIDENCE_DECIMALS: Final = 4


@dataclass(slots=True)
class Detections:
    """How many detections: `reclassified` are those of `lost` that another class took the place of."""

    old: int = 0
    new: int = 0
    matched: int = 0
    lost: int = 0
    gained: int = 0
    reclassified: int = 0
    confidence: Means = field(default_factory=Means)


@dataclass(slots=True)
class Check:
    """A quality check that both sides have."""

    compared: int = 0
    now_passed: int = 0
    now_failed: int = 0


@dataclass(slots=True)
class Camera:
    """One source."""

    frames: int = 0
    changed: int = 0
    worse: int = 0
    lost: int = 0
    gained: int = 0
    score: Means = field(default_factory=Means)


class Tally:
    """Everything that is counted of frames with a result on both sides."""

    def __init__(self) -> None:
        self.frames = 0
        self.identical = 0
        self.answers_changed = 0
        self.worse = 0
        self.verdicts: Counter[Answers] = Counter()
        self.labels: Counter[Answers] = Counter()
        self.scores = Shifts(_SCORE_DECIMALS)
        self.probabilities = Shifts(_CONFIDENCE_DECIMALS)
        self.confidences = Shifts(_CONFIDENCE_DECIMALS)
        self.largest_box_shift = 0.0
        self.detections = Detections()
        self.classes: defaultdict[str, Detections] = defaultdict(Detections)
        self.checks: defaultdict[str, Check] = defaultdict(Check)
        self.cameras: defaultdict[str, Camera] = defaultdict(Camera)

    def add(self, change: Change) -> None:
        """Count one frame."""
        self.frames += 1
        self.identical += change.identical
        self.answers_changed += change.answer_changed
        self.worse += change.worse
        self.verdicts[change.old.verdict, change.new.verdict] += 1
        self.labels[change.old.label, change.new.label] += 1
        self._add_numbers(change)
        self._add_checks(change)
        self._add_detections(change)
        self._add_camera(change)

    @property
    def changed_share(self) -> float:
        """Return the share of frames whose verdict or label changed."""
        return share(self.answers_changed, self.frames)

    @property
    def worse_share(self) -> float:
        """Return the share of frames that are worse."""
        return share(self.worse, self.frames)

    @property
    def lost_share(self) -> float:
        """Return the share of the old detections that were lost."""
        return share(self.detections.lost, self.detections.old)

    @property
    def gained_share(self) -> float:
        """Return the share of the new detections that were not there before."""
        return share(self.detections.gained, self.detections.new)

    def _add_numbers(self, change: Change) -> None:
        if change.score_shift is not None:
            self.scores.add(change.score_shift, change.frame_id)
        if change.probability_shift is not None:
            self.probabilities.add(change.probability_shift, change.frame_id)

    def _add_checks(self, change: Change) -> None:
        for name in change.old.checks.keys() & change.new.checks.keys():
            before, after, check = change.old.checks[name], change.new.checks[name], self.checks[name]
            check.compared += 1
            check.now_passed += after and not before
            check.now_failed += before and not after

    def _add_detections(self, change: Change) -> None:
        old, new, matching = change.old.found, change.new.found, change.matching
        for one in old:
            self.classes[one.class_name].old += 1
        for one in new:
            self.classes[one.class_name].new += 1
        for i, j in matching.matched:
            shift = new[j].confidence - old[i].confidence
            of_class = self.classes[old[i].class_name]
            of_class.matched += 1
            of_class.confidence.add(shift)
            self.confidences.add(shift, change.frame_id)
            moved = max(abs(a - b) for a, b in zip(old[i].bbox, new[j].bbox, strict=True))
            self.largest_box_shift = max(self.largest_box_shift, moved)
        for i in matching.lost:
            self.classes[old[i].class_name].lost += 1
        for j in matching.gained:
            self.classes[new[j].class_name].gained += 1
        for i, _ in matching.reclassified:
            self.classes[old[i].class_name].reclassified += 1
        all_of = self.detections
        all_of.old += len(old)
        all_of.new += len(new)
        all_of.matched += len(matching.matched)
        all_of.lost += len(matching.lost)
        all_of.gained += len(matching.gained)
        all_of.reclassified += len(matching.reclassified)

    def _add_camera(self, change: Change) -> None:
        camera = self.cameras[change.source]
        camera.frames += 1
        camera.changed += change.answer_changed
        camera.worse += change.worse
        camera.lost += len(change.matching.lost)
        camera.gained += len(change.matching.gained)
        if change.score_shift is not None:
            camera.score.add(change.score_shift)


def share(part: int, whole: int) -> float:
    """Return part / whole, 0 of nothing."""
    return part / whole if whole else 0.0
