"""What the parts of inference know of each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from processors.decode.pictures import Pixels
from schemas.modelcard import Thresholds
from schemas.result import Classification, Detection

Tensor = NDArray[np.generic]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model; None in `shape` is an axis of any length."""

    name: str
    dtype: str  # numpy's name, such as float32
    shape: tuple[int | None, ...]


class Engine(Protocol):
    """Runs one set of weights. `run` may be called from several threads; it blocks, without the interpreter's lock.

    `provider` is what really runs the model, as the made session says, such as `CPUExecutionProvider`.
    """

    provider: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, batch: Tensor) -> list[Tensor]:
        """Return the outputs for a batch (first axis: pictures). Raises EngineError for whatever goes wrong."""
        ...

    def close(self) -> None:
        """Give the memory back; the engine is not used again."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture (or one object's landmarks) at the model's input size, and the way back to the original.

    `tensor` is uint8, height x width x 3, in the card's channel order; for landmarks float32, one row of numbers.
    A point p of the input is (p - offset_xy) / scale_xy in pixels of the original, whose size is `original_wh`.
    """

    tensor: Tensor
    original_wh: tuple[int, int]
    scale_xy: tuple[float, float] = (1.0, 1.0)
    offset_xy: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one picture: detections (by falling confidence) or a classification.

    Numbers are rounded as results carry them: coordinates in pixels of the upright original to 2 decimals,
    confidences and probabilities to 4.
    """

    detections: tuple[Detection, ...] | None = None
    classification: Classification | None = None


class Head(Protocol):
    """Everything of a task besides the weights: one object a loaded model, without state, for several threads."""

    def prepare(self, bgr: Pixels) -> Prepared:
        """Bring one upright picture (uint8, BGR, height x width x 3) to the model's input size."""
        ...

    def stack(self, batch: Sequence[Prepared]) -> Tensor:
        """Join prepared pictures of equal shape to the model's input (float32 or float16, NCHW, normalised)."""
        ...

    def read(self, outputs: Sequence[Tensor], batch: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Answer]:
        """Turn the outputs of a batch into one answer a picture, each by its own thresholds.

        Raises InputError (`inference_invalid`) where numbers are not finite: the caller then halves the batch.
        """
        ...


class EngineError(Exception):
    """The engine failed on a batch: out of memory, a shape that it refuses, an operator that breaks."""
