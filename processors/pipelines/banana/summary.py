"""Counts bananas by ripeness, checks their outlines, and grades how far the answer can be trusted."""

from collections.abc import Sequence
from typing import Any, Final

from processors.pipelines.banana.options import BananaOptions, Grades
from processors.pipelines.banana.outline import Outline, check_outline
from processors.pipelines.counts import NONE, count_facts
from processors.pipelines.summary import Material, Summary, SummaryKind, one_role
from schemas.modelcard import Task
from schemas.result import Detection

CLASSES: Final = ("Not Mature", "Mature", "Ripe", "Over Ripe")


def summarise_banana(material: Material, options: BananaOptions) -> Summary:
    """Give the commonest ripeness as the verdict, the overall score as the score; nothing found has no grade."""
    detections, size_wh = material.detections, material.evidence.upright_wh
    outlines = [check_outline(detection, size_wh, options.geometry) for detection in detections]
    facts = {**count_facts(detections, CLASSES), "bananas": [_facts(outline, size_wh) for outline in outlines]}
    if not detections:
        return Summary(NONE, facts)
    parts = {
        "confidence": 100 * _mean([detection.confidence for detection in detections]),
        "geometry": _mean([outline.score for outline in outlines]),
        "picture": material.quality.score,
    }
    score = _overall(parts, options)
    facts["score_parts"] = {name: round(part, 1) for name, part in parts.items()}
    facts["grade"] = grade_of(score, options.grades)
    return Summary(_commonest(detections), facts, score)


def grade_of(score: float, grades: Grades) -> str:
    """Return the grade of an overall score."""
    steps = (("A+", grades.a_plus), ("A", grades.a), ("B", grades.b), ("C", grades.c))
    return next((name for name, lowest in steps if score >= lowest), "D")


def _overall(parts: dict[str, float], options: BananaOptions) -> float:
    weights: dict[str, float] = {name: getattr(options.weights, name) for name in parts}
    return round(sum(part * weights[name] for name, part in parts.items()) / sum(weights.values()), 1)


def _commonest(detections: Sequence[Detection]) -> str:
    """Return the class with the most bananas; of several the one with the higher sum of confidences, then the riper."""

    def standing(name: str) -> tuple[int, float, int]:
        confidences = [detection.confidence for detection in detections if detection.class_name == name]
        return len(confidences), round(sum(confidences), 4), CLASSES.index(name)

    return max(CLASSES, key=standing)


def _facts(outline: Outline, size_wh: tuple[int, int]) -> dict[str, Any]:
    return {
        "area": round(outline.area, 2),
        "area_share": round(outline.area / (size_wh[0] * size_wh[1]), 4),
        "geometry_score": round(outline.score, 1),
        "problems": list(outline.problems),
    }


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


BANANA = SummaryKind(BananaOptions, summarise_banana, one_role("detector", Task.SEGMENT, CLASSES))
