"""A model's card: everything besides the weights that its answers depend on, and where it comes from.

A model is a folder with `card.yaml` and the files that the card lists. The card holds the SHA-256 of each file, so
the digest of the card (`model_digest`) names the whole model.
"""

import re
from enum import StrEnum
from functools import cache
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.encoding import canonical_json
from schemas.identity import sha256_hex
from schemas.yamlfile import load_yaml

CARD_FILE: Final = "card.yaml"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = r"^[0-9a-f]{64}$"
_FILE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Three = tuple[float, float, float]


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


class Task(StrEnum):
    """What a model does. `landmarks` classifies the normalised keypoints of one object; the others see pictures."""

    DETECT = "detect"
    SEGMENT = "segment"
    POSE = "pose"
    CLASSIFY = "classify"
    LANDMARKS = "landmarks"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Preprocessing(_Part):
    """From an upright uint8 picture to the model's input: resize, reorder, (x * scale - mean) / deviation.

    `letterbox` fits the whole picture in, centred on `pad_value`; `shortest-edge` resizes the shorter side to
    `resize_to` and cuts the centre out; `stretch` ignores the aspect ratio. `linear` is OpenCV's INTER_LINEAR; the
    others are Pillow's, which look at all pixels that they shrink.
    """

    resize: Literal["letterbox", "shortest-edge", "stretch"] = "letterbox"
    resize_to: Annotated[int, Field(ge=1, le=8192, strict=True)] | None = None  # null: the input's shorter side
    interpolation: Literal["linear", "bilinear", "bicubic", "lanczos"] = "linear"
    pad_value: Annotated[int, Field(ge=0, le=255, strict=True)] = 114
    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1 / 255
    mean: Three = (0.0, 0.0, 0.0)
    deviation: Three = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _deviation_divides(self) -> Self:
        if min(self.deviation) <= 0:
            raise ValueError("a deviation is not above zero")
        return self


class Thresholds(_Part):
    """What counts as a detection: confidence strictly above, IoU of two of one class up to, at most so many."""

    confidence: Share = 0.25
    iou: Share = 0.7
    max_detections: Annotated[int, Field(ge=1, le=30_000, strict=True)] = 300


class Keypoints(_Part):
    """The points of a pose model; `dimensions` is 3 where each has a visibility. `skeleton` joins them by index."""

    count: Annotated[int, Field(ge=1, le=1000, strict=True)]
    dimensions: Literal[2, 3] = 3
    names: tuple[str, ...] | None = None
    skeleton: tuple[tuple[int, int], ...] = ()

    @model_validator(mode="after")
    def _indices_exist(self) -> Self:
        if any(not 0 <= index < self.count for bone in self.skeleton for index in bone):
            raise ValueError("the skeleton names a point that does not exist")
        if self.names is not None and len(self.names) != self.count:
            raise ValueError("there are not as many names as points")
        return self


class ModelCard(_Part):
    """See the module. `class_map` gives classes the names by which a pipeline's arithmetic knows them."""

    name: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
    version: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
    task: Task
    role: str | None = None  # what its maker means it for; null: any role of its task
    description: str = ""
    weights: Annotated[str, Field(pattern=_FILE)] = "model.onnx"
    files: dict[Annotated[str, Field(pattern=_FILE)], Annotated[str, Field(pattern=_SHA256)]]
    source_digest: Annotated[str, Field(pattern=_SHA256)] | None = None  # SHA-256 of what it was exported from
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    classes: tuple[str, ...] = Field(min_length=1)  # in the order of the outputs
    class_map: dict[str, str] = Field(default_factory=dict)
    # (width, height) of the input in pixels; for `landmarks` (numbers of one object, 1).
    input_wh: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]]
    rect: bool = False  # letterbox to the smallest multiple of `stride` instead of the full input
    stride: Annotated[int, Field(ge=1, le=1024)] = 32
    preprocessing: Preprocessing = Preprocessing()
    activation: Literal["none", "softmax", "sigmoid"] = "none"  # what is still to be applied to class scores
    end_to_end: bool = False  # the outputs are final: no non-maximum suppression
    keypoints: Keypoints | None = None
    thresholds: Thresholds = Thresholds()
    licence: str = Field(min_length=1)
    metrics: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.weights not in self.files:
            raise ValueError("files has no entry for the weights")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is listed twice")
        if not set(self.class_map) <= set(self.classes):
            raise ValueError("class_map names a class that the model does not have")
        if (self.task is Task.POSE) != (self.keypoints is not None):
            raise ValueError("keypoints belong to pose models, and to no other")
        if self.rect and (self.task is Task.CLASSIFY or self.preprocessing.resize != "letterbox"):
            raise ValueError("rect needs a letterbox")
        if self.activation == "softmax" and len(self.classes) == 1:
            raise ValueError("a softmax over one class is always 1")
        return self

    @model_validator(mode="after")
    def _classes_can_be_written(self) -> Self:
        names = [*self.classes, *self.class_map.values()]
        if any(not name or "\0" in name or any(map(_is_surrogate, name)) for name in names):
            raise ValueError("a class has no name, or one with a character that JSON or a database cannot hold")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the outputs, by the names that results carry."""
        return tuple(self.class_map.get(name, name) for name in self.classes)


@cache
def _digest(card_json: str) -> str:
    return sha256_hex(card_json.encode())


def model_digest(card: ModelCard) -> str:
    """Return the SHA-256 (hex) that names a model: over its card, which holds the hashes of its files.

    Defaults are left out, so that a field that a later release adds changes no digest: no default may ever change.
    """
    return _digest(canonical_json(card.model_dump(mode="json", exclude_defaults=True)).decode())


def load_card(text: str, filename: str) -> ModelCard:
    """Read a card; `filename` is for messages only. Raises ConfigurationError with file and line."""
    return load_yaml(ModelCard, text, filename)
