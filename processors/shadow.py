"""How the answer of a shadow model differs from the live one."""

from collections.abc import Iterator, Sequence
from typing import Final

from processors.infer.boxes import match_boxes
from schemas.result import Detection, Result

DIFFERENCES: Final = ("verdict", "gained", "lost", "label")
_SAME_OBJECT_IOU = 0.5


def differences(live: Result, shadow: Result) -> Iterator[str]:
    """Yield each kind of difference that there is, of `DIFFERENCES`.

    `gained` and `lost` are detections without a partner of the same class at an IoU of at least 0.5.
    """
    if live.verdict != shadow.verdict:
        yield "verdict"
    if _label(live) != _label(shadow):
        yield "label"
    before, after = live.detections or [], shadow.detections or []
    matched = match_boxes(_boxes(before), _boxes(after), _SAME_OBJECT_IOU)
    if len(after) > len(matched):
        yield "gained"
    if len(before) > len(matched):
        yield "lost"


def _label(result: Result) -> str | None:
    return None if result.classification is None else result.classification.label


def _boxes(detections: Sequence[Detection]) -> list[tuple[str, Sequence[float]]]:
    return [(found.class_name, found.bbox) for found in detections]
