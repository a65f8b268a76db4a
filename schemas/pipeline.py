"""A pipeline's definition: what it accepts, how it batches, what it checks, what it keeps.

Written as one YAML file a pipeline. Unknown keys are refused with file and line.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas import topics
from schemas.modelcard import Task
from schemas.yamlfile import load_yaml

MIB = 1024 * 1024
# Strict, or `true` and "16" would pass as numbers.
Positive = Annotated[int, Field(ge=1, strict=True)]
NotNegative = Annotated[float, Field(ge=0, strict=True)]
AboveZero = Annotated[float, Field(gt=0, strict=True)]
GreyLevel = Annotated[int, Field(ge=0, le=255, strict=True)]
Score = Annotated[float, Field(ge=0, le=100, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]


class MediaType(StrEnum):
    """The still-picture formats that have a decoder."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    HEIC = "image/heic"
    TIFF = "image/tiff"


class CheckName(StrEnum):
    """The quality checks, in the order in which results list them."""

    BLUR = "blur"
    RESOLUTION = "resolution"
    BRIGHTNESS = "brightness"
    EXPOSURE = "exposure"
    METADATA = "metadata"


class _Definition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=False)


class InputRules(_Definition):
    """What reaches a decoder at all."""

    media_types: tuple[MediaType, ...] = Field(min_length=1)
    max_bytes: Positive = 32 * MIB
    max_side: Positive = 30_000
    max_pixels: Positive = 120_000_000


class BatchRules(_Definition):
    """When a micro-batch is full: at the first of these."""

    max_frames: Positive | None = None  # null: 16; with models on a CPU, 8
    max_bytes: Positive = 16 * MIB
    max_wait_ms: Annotated[int, Field(ge=0, le=10_000, strict=True)] = 20


class BlurCheck(_Definition):
    """Variance of the Laplacian of the grey picture; partial min(partial_max, value / min_variance * partial_max)."""

    weight: NotNegative = 25
    min_variance: AboveZero = 100
    partial_max: Score = 80


class ResolutionCheck(_Definition):
    """Sides and megapixels; partial min(partial_max, MP / min_megapixels * partial_max), or the floor when tiny."""

    weight: NotNegative = 25
    min_width: Positive = 800
    min_height: Positive = 600
    min_megapixels: AboveZero = 0.5
    partial_min_megapixels: NotNegative = 0.3
    partial_max: Score = 80
    partial_floor: Score = 20
    apply_orientation: bool = True  # false: width and height as stored, before EXIF orientation
    either_orientation: bool = True  # false: width and height must pass as they are, no swapping


class BrightnessCheck(_Definition):
    """Mean grey level and an evenness figure; the formula stands in `processors/quality.py`."""

    weight: NotNegative = 20
    min_mean: NotNegative = 50
    max_mean: NotNegative = 220
    min_quality: Share = 0.60
    dark_below: GreyLevel = 50
    bright_from: GreyLevel = 200
    dark_share_free: Share = 0.1
    bright_share_free: Share = 0.05
    partial_start: Score = 80
    partial_floor: Score = 30
    partial_other: Score = 70

    @model_validator(mode="after")
    def _mean_has_room(self) -> Self:
        if self.min_mean > self.max_mean:
            raise ValueError("min_mean is above max_mean")
        return self


class ExposureCheck(_Definition):
    """Dynamic range between two points of the cumulative histogram, and the share of clipped pixels."""

    weight: NotNegative = 15
    min_range: Annotated[int, Field(ge=1, le=255, strict=True)] = 100
    max_clipped_share: Share | None = 0.02  # null: clipping never fails the check
    low_point: Share = 0.005
    high_point: Share = 0.995
    partial_max: Score = 70
    partial_flat: Score = 30

    @model_validator(mode="after")
    def _points_are_in_order(self) -> Self:
        if self.low_point >= self.high_point:
            raise ValueError("low_point is not below high_point")
        return self


class MetadataCheck(_Definition):
    """Share of the six metadata fields that are present; partial min(partial_max, share in % * partial_factor)."""

    weight: NotNegative = 15
    min_share: Share = 0.15
    partial_max: Score = 60
    partial_factor: NotNegative = 2


class Levels(_Definition):
    """Lowest score of each level; below `fair` is poor."""

    fair: Score = 40
    good: Score = 65
    excellent: Score = 85

    @model_validator(mode="after")
    def _levels_are_in_order(self) -> Self:
        if not self.fair <= self.good <= self.excellent:
            raise ValueError("fair, good and excellent are not in rising order")
        return self


class QualityRules(_Definition):
    """The checks that count, with their numbers. Weights are renormalised over the checks listed."""

    checks: tuple[CheckName, ...] = Field(default=tuple(CheckName), min_length=1)
    pass_score: Score = 65
    levels: Levels = Levels()
    blur: BlurCheck = BlurCheck()
    resolution: ResolutionCheck = ResolutionCheck()
    brightness: BrightnessCheck = BrightnessCheck()
    exposure: ExposureCheck = ExposureCheck()
    metadata: MetadataCheck = MetadataCheck()

    @model_validator(mode="after")
    def _checks_have_weight(self) -> Self:
        if len(set(self.checks)) != len(self.checks):
            raise ValueError("a check is listed twice")
        if sum(getattr(self, name).weight for name in self.checks) <= 0:
            raise ValueError("the weights of the checks that count are all zero")
        return self


class ModelRules(_Definition):
    """What may fill a role. `classes`: the names that the pipeline's arithmetic must find, in any order.

    `keypoints`: how many points of an object a pose model must give, or a landmarks model take.
    """

    task: Task
    classes: tuple[str, ...] | None = None
    keypoints: Positive | None = None


class Bounds(_Definition):
    """The least and the most that a frame may ask for."""

    least: Share = 0.0
    most: Share = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError("least is above most")
        return self


class InferenceRules(_Definition):
    """Thresholds over those of the model's card (null: the card's), and what frames may set for themselves."""

    confidence: Share | None = None
    iou: Share | None = None
    max_detections: Positive | None = None
    confidence_bounds: Bounds = Bounds()
    iou_bounds: Bounds = Bounds()
    max_batch: Positive | None = None  # pictures in one run of the model; null: by its input size and the device


class CacheRules(_Definition):
    """Answers that may be given again for the same bytes, models and settings."""

    ttl_s: Positive = 3600


class BehindRules(_Definition):
    """When a worker counts as behind, and how much it then keeps: the numbers of `when_behind`.

    A frame says that it is behind when it is older than `lag_s` (seconds since its append time) as its turn comes, and
    newer ones wait in its partition. Clocks of brokers and workers must agree to well within that.
    """

    lag_s: Annotated[float, Field(ge=0.1, le=86_400, strict=True)] = 10
    keep_share: Share = 0.25  # of `thin_out`: so many frames of each camera are looked at, chosen by their ids


class PipelineDefinition(_Definition):
    """One pipeline. `summary` names the arithmetic that turns checks and detections into a verdict."""

    name: Annotated[str, Field(pattern=rf"^{topics.PIPELINE_NAME.pattern}$")]
    description: str = ""
    summary: str
    options: dict[str, Any] = Field(default_factory=dict)  # of the summary's own arithmetic, checked by it
    models: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")], ModelRules] = Field(default_factory=dict)
    inference: InferenceRules = InferenceRules()
    input: InputRules
    batch: BatchRules = BatchRules()
    quality: QualityRules = QualityRules()
    gate: Literal["off", "flag", "reject"] = "off"
    keep: Literal["picture", "nothing"] = "nothing"
    overlay: bool = False  # draw what was found over the picture, and keep that
    emr: bool = False  # publish results also in the form that hospital systems read
    cache: CacheRules | None = None
    # exactly-once: results, dead letters, artifacts and offsets of a batch in one Kafka transaction.
    delivery: Literal["at-least-once", "exactly-once"] = "at-least-once"
    # Frames that are skipped are answered by a result of kind `skipped`. newest_first: pass by the old ones, until
    # those that come are fresh again; thin_out: look at a share of them.
    when_behind: Literal["never_drop", "newest_first", "thin_out"] = "never_drop"
    behind: BehindRules = BehindRules()

    @model_validator(mode="after")
    def _landmarks_follow_a_pose(self) -> Self:
        tasks = [rules.task for rules in self.models.values()]
        if Task.LANDMARKS in tasks and Task.POSE not in tasks:
            raise ValueError("a role of task landmarks needs one of task pose")
        if sum(task is not Task.LANDMARKS for task in tasks) > 1 or tasks.count(Task.LANDMARKS) > 1:
            raise ValueError("at most one role sees the picture, and at most one its landmarks")
        if self.models and tasks[0] is Task.LANDMARKS:
            raise ValueError("the role that sees the picture stands first")
        return self


def load_pipeline(text: str, filename: str) -> PipelineDefinition:
    """Read one definition file; `filename` is for messages only.

    Raises ConfigurationError that names file and line of the first problem.
    """
    return load_yaml(PipelineDefinition, text, filename)
