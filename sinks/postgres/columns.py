"""What of a result becomes columns, and nothing else; the rest of it travels as bytes into `body`.

Reading these fields as plain dictionaries takes 8 µs a result where building the full models takes 22, and
polygons and keypoints need not be built at all. A test holds this list against `schemas.result`.
"""

from typing import Annotated, NotRequired

from pydantic import AwareDatetime, Field, FiniteFloat, TypeAdapter

# pydantic insists on this one below Python 3.12, and depends on the package itself.
from typing_extensions import TypedDict


class ImageColumns(TypedDict):
    """Of `image`."""

    width: int
    height: int
    media_type: str
    size_bytes: int
    sha256: str


class CheckColumns(TypedDict):
    """Of `quality.checks[]`."""

    name: str
    passed: bool
    value: FiniteFloat
    score: FiniteFloat
    weight: NotRequired[FiniteFloat | None]
    reason: str
    recommendation: NotRequired[str | None]


class QualityColumns(TypedDict):
    """Of `quality`."""

    level: str
    checks: list[CheckColumns]


# In this form because `class` is a reserved word of Python.
DetectionColumns = TypedDict(
    "DetectionColumns",
    {
        "class": str,
        "class_id": int,
        "confidence": FiniteFloat,
        "bbox": Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)],
        "track_id": NotRequired[int | None],
    },
)


class ClassificationColumns(TypedDict):
    """Of `classification`."""

    label: str
    probability: FiniteFloat


class ModelColumns(TypedDict):
    """Of `models[]`."""

    name: str
    version: str
    digest: str


class OriginColumns(TypedDict):
    """Of `origin`."""

    topic: str
    partition: int
    offset: int


class ArtifactColumns(TypedDict):
    """Of `artifacts[]`."""

    kind: str
    key: str
    sha256: str
    media_type: str
    size_bytes: int


class ResultColumns(TypedDict):
    """Of the result itself."""

    result_id: str
    frame_id: str
    event_id: NotRequired[str | None]
    pipeline: str
    kind: NotRequired[str]
    variant: NotRequired[str]
    source: str
    captured_at: AwareDatetime
    processed_at: AwareDatetime
    replay_id: NotRequired[str | None]
    supersedes: NotRequired[str | None]
    verdict: NotRequired[str | None]
    score: NotRequired[FiniteFloat | None]
    image: NotRequired[ImageColumns | None]
    quality: NotRequired[QualityColumns | None]
    detections: NotRequired[list[DetectionColumns] | None]
    classification: NotRequired[ClassificationColumns | None]
    models: NotRequired[list[ModelColumns] | None]
    settings_digest: NotRequired[str | None]
    origin: NotRequired[OriginColumns | None]
    cached_from: NotRequired[str | None]
    timings_ms: NotRequired[dict[str, FiniteFloat] | None]
    artifacts: NotRequired[list[ArtifactColumns] | None]


_ADAPTER = TypeAdapter(ResultColumns)


def parse_columns(value: bytes) -> ResultColumns:
    """Read a result's JSON. Raises pydantic's ValidationError; a time without a zone is one."""
    return _ADAPTER.validate_json(value)
