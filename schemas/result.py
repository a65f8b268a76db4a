"""A result: what one pipeline says of one frame. Small JSON that other systems consume.

Coordinates are pixels of the original picture after EXIF orientation, x to the right, y down.
Coordinates have 2 decimals, confidences and probabilities 4, scores 1; whoever builds a model here rounds.
Readers keep fields that they don't know.
"""

import math
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from schemas.encoding import format_time, to_utc

RESULT_TYPE = "sightline.result.v1"
RESULT_SCHEMA = "urn:sightline:schema:result:v1"


def _finite(value: Any) -> Any:
    """Refuse what JSON cannot hold, in values whose shape no model knows."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinities are not JSON")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for child in children:
        _finite(child)
    return value


Moment = Annotated[
    AwareDatetime, AfterValidator(to_utc), PlainSerializer(format_time, return_type=str, when_used="json")
]
FreeForm = Annotated[dict[str, Any], AfterValidator(_finite)]
Score = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


class WireModel(BaseModel):
    """Base of what goes over the wire: unknown fields are kept, NaN and infinities refused.

    A null field counts as absent, also an unknown one.
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True)

    def to_json(self) -> bytes:
        """Write the message's value; fields that don't apply are absent. Raises ValueError on lone surrogates."""
        return self.model_dump_json(exclude_none=True).encode()

    @model_validator(mode="after")
    def _unknown_fields_are_finite(self) -> Self:
        if self.model_extra:
            _finite(self.model_extra)
        return self


class Image(WireModel):
    """The picture as scored; width and height are after EXIF orientation."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    media_type: str
    size_bytes: int = Field(ge=0)
    sha256: str


class Check(WireModel):
    """One quality check. `value` is what was measured, `score` its credit from 0 to 100."""

    name: str
    passed: bool
    value: float
    score: Score
    weight: float | None = None
    reason: str
    recommendation: str | None = None


class Quality(WireModel):
    """The weighted checks. `level` is poor, fair, good or excellent."""

    score: Score
    level: str = Field(examples=["poor", "fair", "good", "excellent"])
    checks: list[Check]


class Detection(WireModel):
    """One object found, in pixels of the original picture after EXIF orientation, x to the right, y down.

    `bbox` is [x1, y1, x2, y2]; `polygon` one ring of [x, y], `parts` the rings of a mask in several pieces;
    `keypoints` rows are [x, y, visibility], where visibility is null if the model has none.
    """

    class_name: str = Field(alias="class")
    class_id: int
    confidence: Share
    bbox: list[float] = Field(min_length=4, max_length=4)
    polygon: list[list[float]] | None = None
    parts: list[list[list[float]]] | None = None
    keypoints: list[list[float | None]] | None = None
    track_id: int | None = None


class Classification(WireModel):
    """What the whole picture was classified as."""

    label: str
    probability: Share
    probabilities: dict[str, float] | None = None


class ModelReference(WireModel):
    """A model that took part."""

    role: str
    name: str
    version: str
    digest: str


class OriginReference(WireModel):
    """The record that the result answers."""

    topic: str
    partition: int
    offset: int


class ArtifactReference(WireModel):
    """A picture kept in the object store under `key`."""

    kind: str
    key: str
    sha256: str
    media_type: str
    size_bytes: int


class Result(WireModel):
    """A result as published on `results.<pipeline>`."""

    result_id: str
    frame_id: str
    event_id: str | None = None
    pipeline: str
    kind: str = Field(default="frame", examples=["frame", "clip", "skipped"])
    variant: str = Field(default="live", examples=["live", "shadow"])
    source: str
    captured_at: Moment
    processed_at: Moment
    replay_id: str | None = None
    supersedes: str | None = None
    archived: bool | None = None  # true: the input was the kept picture, as the original is gone
    verdict: str | None = Field(default=None, examples=["accepted", "rejected"])
    score: Score | None = None
    image: Image | None = None
    quality: Quality | None = None
    detections: list[Detection] | None = None
    classification: Classification | None = None
    summary: FreeForm | None = None
    models: list[ModelReference] | None = None
    settings_digest: str | None = None
    origin: OriginReference | None = None
    cached_from: str | None = None
    timings_ms: dict[str, float] | None = None
    artifacts: list[ArtifactReference] | None = None
