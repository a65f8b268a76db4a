"""The parity gate: what a variant has to show before it may take the original's place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Final

from processors.infer.interface import Answer
from schemas.modelcard import ModelCard, Task, Thresholds
from schemas.result import Classification
from sightline.models.dataset import DataSet
from sightline.models.evaluate import SizedAnswers, evaluate_answers
from sightline.models.parity import Comparison, Deviations, Tolerances, compare, pair

FEWEST_INT8_PICTURES: Final = 200
_LARGEST_DROP: Final = 0.02
_LEAST_MATCHED: Final = 0.97
_MATCHED_IOU: Final = 0.9
_CONFIDENT: Final = 0.5
_WORST: Final = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One demand of the gate, in words: what was wanted, what was seen."""

    name: str
    wanted: str
    seen: str
    passed: bool


@dataclass(frozen=True, slots=True)
class ComparedPicture:
    """A picture and what both said of it."""

    path: Path
    original: Answer
    variant: Answer
    problems: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a variant, and the pictures on which it differs most from the original."""

    findings: tuple[Finding, ...]
    worst: tuple[ComparedPicture, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every demand is met."""
        return all(finding.passed for finding in self.findings)


def judge_parity(
    card: ModelCard,
    pictures: Sequence[Path],
    original: SizedAnswers,
    variant: SizedAnswers,
    thresholds: Thresholds,
    allowed: Tolerances,
    candidates: SizedAnswers | None = None,
) -> Verdict:
    """Compare a variant of full or half precision with the original: the same detections, nearly the same numbers.

    `candidates` are the original's answers with nothing suppressed; see `compare`.
    """
    compared, comparisons = [], []
    every = (answer for _, answer in candidates) if candidates is not None else repeat(None, len(pictures))
    for path, (_, before), (_, after), all_of_it in zip(pictures, original, variant, every, strict=True):
        comparison = compare(before, after, thresholds, allowed, all_of_it)
        comparisons.append(comparison)
        compared.append(ComparedPicture(path, before, after, comparison.problems, comparison.weight))
    return Verdict(tuple(_parity_findings(card.task, comparisons, allowed)), _worst(compared))


def judge_int8(card: ModelCard, data: DataSet, original: SizedAnswers, variant: SizedAnswers) -> Verdict:
    """Compare a quantised variant with the original by what both are worth on labelled pictures.

    Both were asked for nearly every detection. None of the pictures may have been used for calibration.
    """
    before, after = list(original), list(variant)
    worth = [evaluate_answers(card, data, answers).metrics for answers in (before, after)]
    enough = Finding(
        "pictures that were not used for calibration", f">= {FEWEST_INT8_PICTURES}", str(len(data.samples)),
        passed=len(data.samples) >= FEWEST_INT8_PICTURES,
    )  # fmt: skip
    compared = [
        _compare_confident(sample.picture, first, second, card)
        for sample, (_, first), (_, second) in zip(data.samples, before, after, strict=True)
    ]
    findings = [enough, *_drops(card.task, *worth), _matched([counts for _, counts in compared])]
    return Verdict(tuple(findings), _worst([picture for picture, _ in compared]), dict(worth[1]))


def _parity_findings(task: Task, comparisons: Sequence[Comparison], allowed: Tolerances) -> Iterable[Finding]:
    expected = sum(one.expected for one in comparisons)
    different = sum(bool(one.problems) for one in comparisons)
    excused = sum(one.near_threshold for one in comparisons)
    seen = Deviations()
    for one in comparisons:
        seen = seen.worse(one.deviations)
    what = "answers" if task is Task.CLASSIFY else "detections"
    yield Finding(f"{what} of the original to compare with", ">= 1", str(expected), passed=expected > 0)
    yield Finding("pictures that differ", "0", f"{different} of {len(comparisons)}", passed=not different)
    near = f"{excused}, within {allowed.near_threshold}"
    yield Finding(f"{what} at a threshold, which may come and go", "counted", near, passed=True)
    ties = sum(one.ties for one in comparisons)
    yield Finding(f"{what} of which another, as sure, was chosen", "counted", str(ties), passed=True)
    yield Finding(
        "largest difference of a score", f"<= {allowed.score}", f"{seen.score:.4f}", seen.score <= allowed.score
    )
    if task is Task.CLASSIFY:
        return
    yield _least("boxes", seen.box_iou, allowed.box_iou)
    if task is Task.SEGMENT:
        yield _least("masks", seen.mask_iou, allowed.mask_iou)
    if task is Task.POSE:
        apart = seen.keypoint_px
        wanted = f"<= {allowed.keypoint_px} px"
        yield Finding("largest distance of a keypoint", wanted, f"{apart:.2f} px", apart <= allowed.keypoint_px)


def _least(what: str, seen: float, allowed: float) -> Finding:
    return Finding(f"smallest overlap (IoU) of {what}", f">= {allowed}", f"{seen:.4f}", seen >= allowed)


def _drops(task: Task, before: Mapping[str, float], after: Mapping[str, float]) -> Iterable[Finding]:
    names = ["accuracy"] if task is Task.CLASSIFY else [name for name in before if name.endswith("mAP50")]
    for name in names:
        drop = before[name] - after[name]
        seen = f"{after[name]:.4f} after {before[name]:.4f}"
        yield Finding(name, f"at most {_LARGEST_DROP} lower", seen, passed=drop <= _LARGEST_DROP)


def _matched(counts: Sequence[tuple[int, int]]) -> Finding:
    matched, confident = (sum(column) for column in zip(*counts, strict=True))
    share = matched / confident if confident else 0.0
    seen = f"{share:.4f} ({matched} of {confident})"
    name = f"confident answers (>= {_CONFIDENT}) of the original that are found again, at IoU >= {_MATCHED_IOU}"
    return Finding(name, f">= {_LEAST_MATCHED}", seen, passed=share >= _LEAST_MATCHED)


def _compare_confident(
    path: Path, before: Answer, after: Answer, card: ModelCard
) -> tuple[ComparedPicture, tuple[int, int]]:
    """Return the picture as the report shows it, and how many confident answers were found again, of how many."""
    if before.classification is not None and after.classification is not None:
        return _compare_label(path, before.classification, after.classification)
    confident = [one for one in before.detections or () if one.confidence >= _CONFIDENT]
    # What a worker would report: the long tail is there for mAP only.
    found = [one for one in after.detections or () if one.confidence > card.thresholds.confidence]
    pairs = {row for row, _ in pair(confident, found, _MATCHED_IOU)}
    lost = [one for row, one in enumerate(confident) if row not in pairs]
    problems = tuple(f"{one.class_name} {one.confidence:.3f} has no match" for one in lost)
    shown = [Answer(detections=tuple(side)) for side in (confident, found)]
    return ComparedPicture(path, shown[0], shown[1], problems, float(len(lost))), (len(pairs), len(confident))


def _compare_label(
    path: Path, before: Classification, after: Classification
) -> tuple[ComparedPicture, tuple[int, int]]:
    confident = before.probability >= _CONFIDENT
    same = before.label == after.label
    problems = () if same or not confident else (f"{after.label} instead of {before.label}",)
    weight = abs(before.probability - after.probability) + len(problems)
    shown = ComparedPicture(path, Answer(classification=before), Answer(classification=after), problems, weight)
    return shown, (int(confident and same), int(confident))


def _worst(compared: Sequence[ComparedPicture]) -> tuple[ComparedPicture, ...]:
    return tuple(sorted(compared, key=lambda one: -one.weight)[:_WORST])
