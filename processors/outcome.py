"""What goes into the data path besides the frames, and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from processors.budget import PixelBudget
from schemas.errors import InputError
from schemas.frame import Frame
from schemas.pipeline import PipelineDefinition
from schemas.result import Result


@dataclass(frozen=True, slots=True)
class Context:
    """What `process` needs of its surroundings; one for the life of a worker, shared by its threads."""

    pipeline: PipelineDefinition
    now: Callable[[], datetime]
    timer: Callable[[], float]  # seconds, monotonic; differences become `timings_ms`
    pixels: PixelBudget


@dataclass(frozen=True, slots=True)
class Artifact:
    """A picture to keep. `key` is its name in the object store."""

    kind: str
    key: str
    data: bytes
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Success:
    """A frame that was processed, with its result and the pictures to keep."""

    frame: Frame
    result: Result
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A frame that can never succeed."""

    frame: Frame
    error: InputError


Outcome = Success | Failure
