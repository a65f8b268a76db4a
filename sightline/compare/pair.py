"""The two results of one frame, cut down to what is compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.result import Result

SKIPPED = "skipped"  # the kind of a result that says only that the frame was not analysed


@dataclass(frozen=True, slots=True)
class Found:
    """One detection. `bbox` is [x1, y1, x2, y2] in pixels of the upright picture."""

    class_name: str
    class_id: int
    confidence: float
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Side:
    """What one result says. `found` has the order of the result's detections; `checks` says which passed."""

    result_id: str
    kind: str = "frame"
    verdict: str | None = None
    score: float | None = None
    label: str | None = None
    probability: float | None = None
    found: tuple[Found, ...] = ()
    checks: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """One frame. At least one of `old` and `new` is there.

    `identical`: the whole answers are equal, also what is not looked at here. `copied`: one of the two looked at
    other bytes than the camera sent, such as an archived copy.
    """

    frame_id: str
    source: str
    old: Side | None
    new: Side | None
    identical: bool = False
    copied: bool = False


def side_of(result: Result) -> Side:
    """Cut a whole result down."""
    said = result.classification
    return Side(
        result_id=result.result_id,
        kind=result.kind,
        verdict=result.verdict,
        score=result.score,
        label=None if said is None else said.label,
        probability=None if said is None else said.probability,
        found=tuple(
            Found(one.class_name, one.class_id, one.confidence, (one.bbox[0], one.bbox[1], one.bbox[2], one.bbox[3]))
            for one in result.detections or ()
        ),
        checks={check.name: check.passed for check in (() if result.quality is None else result.quality.checks)},
    )
