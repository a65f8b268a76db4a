"""What the demo's tally holds at one moment, for views and summaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.deadletter import DeadLetter
from schemas.result import Result


@dataclass(frozen=True, slots=True)
class PipelineBooks:
    """One pipeline's part. `last` is the newest result to a frame of ours, with the picture's name."""

    sent: int = 0
    results: int = 0
    dead_letters: int = 0
    detections: int = 0
    latencies_s: Sequence[float] = ()
    last: tuple[str, Result] | None = None
    first_answer_at: float | None = None


@dataclass(frozen=True, slots=True)
class Books:
    """All of it. The newest answers come first; latencies are in seconds, unsorted."""

    sent: int
    results: int
    dead_letters: int
    in_flight: int
    rate: float
    latencies_s: Sequence[float]
    newest_results: Sequence[tuple[str, str, Result]]  # camera, picture
    newest_letters: Sequence[tuple[str, str, DeadLetter]]
    first_answer_at: float | None
    pipelines: Mapping[str, PipelineBooks]


def latency(latencies_s: Sequence[float]) -> str:
    """Say half of the frames' and nearly all frames' time from being sent to being answered."""
    if not latencies_s:
        return "not known yet"
    return f"p50 {percentile_ms(latencies_s, 0.50):.0f} ms, p95 {percentile_ms(latencies_s, 0.95):.0f} ms"


def percentile_ms(latencies_s: Sequence[float], share: float) -> float:
    """Return the time in milliseconds that this share of the frames took at most; there must be one."""
    times = sorted(latencies_s)
    return 1000 * times[min(int(len(times) * share), len(times) - 1)]
