"""What goes into the data path besides the frames, and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from processors.budget import PixelBudget
from processors.digest import SettingsDigest
from processors.infer.lineup import Lineup
from processors.pipelines import summary_for
from processors.pipelines.summary import Material, Summary
from schemas.errors import InputError
from schemas.frame import Frame
from schemas.pipeline import PipelineDefinition
from schemas.result import Result
from schemas.resultcache import ResultCache


@dataclass(frozen=True, slots=True)
class Context:
    """What `process` needs of its surroundings; one for the life of a worker, shared by its threads.

    `lineup` gives the models in force, one for each role of the pipeline; it is asked once a batch.
    """

    pipeline: PipelineDefinition
    now: Callable[[], datetime]
    timer: Callable[[], float]  # seconds, monotonic; differences become `timings_ms`
    pixels: PixelBudget
    lineup: Callable[[], Lineup] = Lineup
    cache: ResultCache | None = None
    settings: SettingsDigest = field(init=False)
    summarise: Callable[[Material], Summary] = field(init=False)
    labels: Callable[[Result], list[str]] | None = field(init=False)  # of an overlay, where the summary has its own

    def __post_init__(self) -> None:
        kind = summary_for(self.pipeline.summary)
        options = kind.options(self.pipeline)
        object.__setattr__(self, "settings", SettingsDigest(self.pipeline, options))
        object.__setattr__(self, "summarise", lambda material: kind.summarise(material, options))
        object.__setattr__(self, "labels", kind.labels)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A picture to keep. `key` is its name in the object store."""

    kind: str
    key: str
    data: bytes
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a shadow model says of a frame, or why it says nothing. It is never the answer."""

    result: Result | None
    error: InputError | None = None


@dataclass(frozen=True, slots=True)
class Success:
    """A frame that was processed, with its result and the pictures to keep."""

    frame: Frame
    result: Result
    artifacts: tuple[Artifact, ...]
    shadow: Shadow | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A frame that can never succeed."""

    frame: Frame
    error: InputError


Outcome = Success | Failure
