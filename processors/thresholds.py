"""Which thresholds hold for a frame: its own, else the pipeline's, else those of the model's card."""

from schemas.errors import Code, InputError, Stage
from schemas.frame import FrameSettings
from schemas.modelcard import Thresholds
from schemas.pipeline import Bounds, InferenceRules


def resolve_thresholds(asked: FrameSettings, rules: InferenceRules, card: Thresholds) -> Thresholds:
    """Return the thresholds for one frame. Raises InputError when it asks for more or less than its pipeline lets."""
    confidence = _bounded("ce_confidence", asked.confidence, rules.confidence_bounds)
    iou = _bounded("ce_iou", asked.iou, rules.iou_bounds)
    return Thresholds(
        confidence=_first(confidence, rules.confidence, card.confidence),
        iou=_first(iou, rules.iou, card.iou),
        max_detections=rules.max_detections or card.max_detections,
    )


def _bounded(name: str, value: float | None, bounds: Bounds) -> float | None:
    if value is not None and not bounds.least <= value <= bounds.most:
        reason = f"{name} is out of this pipeline's bounds, {bounds.least:g} to {bounds.most:g}"
        raise InputError(Code.SETTING_INVALID, Stage.FRAME, reason)
    return value


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
