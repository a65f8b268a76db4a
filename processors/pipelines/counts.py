"""What all pipelines with detections say of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from schemas.result import Detection

FOUND, NONE = "found", "none"


def count_facts(detections: Sequence[Detection], classes: Iterable[str] = ()) -> dict[str, Any]:
    """Return how many there are, in all and of each class, and the highest confidence if there are any.

    Classes come in alphabetic order; those of `classes` come first, in their order, also where there are none.
    """
    found = Counter(detection.class_name for detection in detections)
    counts = {name: found[name] for name in dict.fromkeys([*classes, *sorted(found)])}
    facts: dict[str, Any] = {"count": len(detections), "counts": counts}
    if detections:
        facts["max_confidence"] = max(detection.confidence for detection in detections)
    return facts


def found_or_none(detections: Sequence[Detection]) -> str:
    """Return the verdict of the pipelines that take any classes."""
    return FOUND if detections else NONE
