"""What summaries work on, made small."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from processors.infer.interface import Answer
from processors.measures import Measures
from processors.pipelines import load_builtin, summary_for
from processors.pipelines.summary import Material, Summary
from processors.quality import Evidence
from schemas.pipeline import PipelineDefinition, QualityRules
from schemas.result import Classification, Detection, Quality

SIZE_WH = (640, 480)
Ring = Sequence[Sequence[float]]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def detection(name: str = "thing", confidence: float = 0.9, **more: Any) -> Detection:
    """Make a detection; with rings its box is theirs."""
    points = [point for ring in more.get("parts") or [more.get("polygon") or []] for point in ring]
    xs, ys = zip(*(point[:2] for point in points), strict=True) if points else ((10.0, 60.0), (10.0, 60.0))
    facts = {"class": name, "class_id": 0, "confidence": confidence, "bbox": [min(xs), min(ys), max(xs), max(ys)]}
    return Detection.model_validate(facts | more)


def material(
    answer: Answer | None, landmarks: tuple[Classification, ...] | None = None, score: float = 80.0
) -> Material:
    measures = Measures(500.0, np.full(256, 1200, np.int64))
    quality = Quality(score=score, level="good", checks=[])
    return Material(Evidence(measures, {}, SIZE_WH, SIZE_WH), quality, QualityRules(), answer, landmarks)


def summarise(name: str, given: Material, options: Mapping[str, Any] | None = None) -> Summary:
    """Summarise as a worker does: by the built-in definition of that name, with options of its own."""
    definition = with_changes(load_builtin(name), options=dict(options or {}))
    kind = summary_for(definition.summary)
    return kind.summarise(given, kind.options(definition))


def summarise_detections(name: str, found: Sequence[Detection], options: Mapping[str, Any] | None = None) -> Summary:
    return summarise(name, material(Answer(detections=tuple(found))), options)


def with_changes(definition: PipelineDefinition, **changes: Any) -> PipelineDefinition:
    return PipelineDefinition.model_validate(definition.model_dump() | changes)
