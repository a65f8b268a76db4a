"""How fast a model is on this machine, step by step, and how much memory it takes."""

import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.decode.pictures import Pixels
from processors.infer.model import LoadedModel
from schemas.modelcard import Task

_WARM_UP_ROUNDS: Final = 2
_FEWEST_ROUNDS: Final = 3
# A camera's picture; resizing from it is part of the work.
_CAMERA_SHAPE: Final = (720, 1280, 3)
_GRAIN: Final = 16


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians for one batch size: milliseconds a picture for each step, one step after the other.

    `prepare`: resize, pad, normalise. `run`: the weights. `read`: non-maximum suppression, masks, keypoints.
    `peak_bytes` is the most memory that the process has taken until then.
    """

    batch: int
    prepare_ms: float
    run_ms: float
    read_ms: float
    rounds: int
    peak_bytes: int

    @property
    def total_ms(self) -> float:
        """Milliseconds a picture."""
        return self.prepare_ms + self.run_ms + self.read_ms

    @property
    def pictures_per_s(self) -> float:
        """Pictures a second on one thread of ours; a worker overlaps the steps."""
        return 1000 / self.total_ms


def measure(
    model: LoadedModel, pictures: Sequence[Pixels], batch: int, seconds: float, timer: Callable[[], float]
) -> Speed:
    """Run batches of one size, made of the pictures in turn, for so long. `timer` is in seconds, monotonic.

    Blocks. Raises EngineError where the engine cannot take such a batch, InputError for numbers that are not finite.
    """
    if model.card.task is Task.LANDMARKS:
        raise ValueError("a model of landmarks sees no pictures")
    chosen = [pictures[index % len(pictures)] for index in range(batch)]
    asked = [model.card.thresholds] * batch
    times: list[tuple[float, float, float]] = []
    started = timer()
    rounds = 0
    while rounds < _WARM_UP_ROUNDS + _FEWEST_ROUNDS or timer() - started < seconds:
        begin = timer()
        prepared = [model.head.prepare(picture) for picture in chosen]
        tensor = model.head.stack(prepared)
        ready = timer()
        outputs = model.engine.run(tensor)
        done = timer()
        model.head.read(outputs, prepared, asked)
        times.append((ready - begin, done - ready, timer() - done))
        rounds += 1
        if rounds == _WARM_UP_ROUNDS:
            times.clear()
            started = timer()
    prepare, run, read = (statistics.median(step) * 1000 / batch for step in zip(*times, strict=True))
    return Speed(batch, prepare, run, read, len(times), peak_memory_bytes())


def camera_pictures(count: int = 4) -> list[Pixels]:
    """Make pictures that look like nothing, always the same: coarse noise of a camera's size."""
    generator = np.random.default_rng(0)
    height, width, channels = _CAMERA_SHAPE
    coarse = generator.integers(0, 256, (count, height // _GRAIN, width // _GRAIN, channels), dtype=np.uint8)
    return [picture.repeat(_GRAIN, axis=0).repeat(_GRAIN, axis=1) for picture in coarse]


def peak_memory_bytes() -> int:
    """Return the most memory that this process has taken so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
