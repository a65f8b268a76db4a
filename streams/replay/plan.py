"""What a replay would do: how many frames and bytes, from where, for how long. The end of its windows is fixed."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sightline.runtime.settings import KafkaSettings
from sinks.postgres.replay_frames import FrameRows, KnownFrame
from streams.replay.archive import Archive
from streams.replay.selection import Selection
from streams.replay.walk import Found, Task, Walk, unknown_frame_ids
from streams.replay.windows import fix_windows, read_marks, read_places

_LOOKS: Final = 8
_LOOKED_AT_ONCE: Final = 1000
_MEASURED: Final = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many frames a second workers will answer, and where that number comes from; None where nobody knows."""

    frames_per_s: float | None
    because: str

    def seconds(self, frames: int) -> float | None:
        """Return how long so many frames take."""
        return None if not self.frames_per_s else frames / self.frames_per_s


@dataclass(slots=True)
class Counts:
    """Frames and bytes by where they come from. `missing`: known, and nowhere; `unknown` ids were never seen."""

    kafka_frames: int = 0
    kafka_bytes: int = 0
    archived_frames: int = 0
    archived_bytes: int = 0
    missing_frames: int = 0
    unknown_ids: int = 0
    unknown_offsets: int = 0  # before what the topic holds, and no row says whether there was a frame

    @property
    def frames(self) -> int:
        """Return how many frames there are to send."""
        return self.kafka_frames + self.archived_frames

    @property
    def bytes(self) -> int:
        """Return how many bytes they have."""
        return self.kafka_bytes + self.archived_bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan; by partition `windows`, their ends exclusive, and the first offset that the topic held."""

    selection: Selection
    planned_at: datetime
    windows: Mapping[int, tuple[int, int]]
    counts: Counts
    held_from: Mapping[int, int]
    estimate: Estimate = field(default_factory=lambda: Estimate(None, "nothing to send"))

    def facts(self) -> dict[str, Any]:
        """Return the plan as JSON values, without the selection."""
        windows = {str(number): list(window) for number, window in self.windows.items()}
        seconds = self.estimate.seconds(self.counts.frames)
        return {
            "frames": self.counts.frames,
            "bytes": self.counts.bytes,
            **asdict(self.counts),
            "windows": windows,
            "held_from": {str(number): low for number, low in self.held_from.items()},
            "seconds": None if seconds is None else round(seconds, 1),
            "seconds_because": self.estimate.because,
        }


class Planner:
    """Makes plans. Blocks: what the topic holds of the windows is read to its end, as far as it is looked at."""

    def __init__(
        self, settings: KafkaSettings, rows: FrameRows, archive: Archive, *, timeout_s: float,
        show: Callable[[int], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`show` hears now and then how many frames were found."""
        self._settings = settings
        self._rows = rows
        self._archive = archive
        self._timeout_s = timeout_s
        self._show = show

    def plan(self, selection: Selection, now: datetime) -> Plan:
        """Fix the windows and count what lies in them. Raises OutageError, ConfigurationError."""
        marks = read_marks(self._settings, selection, timeout_s=self._timeout_s)
        places = read_places(self._rows, selection, now)
        earliest = self._rows.earliest(selection.rows(now, by_answer=True)) if selection.archive else {}
        windows = fix_windows(selection, marks, places, earliest)
        held_from = {number: mark.low for number, mark in marks.items()}
        counts = self._count(Task(selection, now, places, windows, held_from))
        counts.unknown_ids = len(unknown_frame_ids(selection, places))
        if places is None and not selection.by_content:
            gone = sum(max(min(marks[number].low, end) - begin, 0) for number, (begin, end) in windows.items())
            counts.unknown_offsets = max(gone - counts.archived_frames - counts.missing_frames, 0)
        return Plan(selection, now, windows, counts, held_from, self.estimate(selection.pipeline))

    def estimate(self, pipeline: str) -> Estimate:
        """Say how fast frames will be answered, from what was measured before."""
        rate = self._rows.replayed_rate(pipeline)
        if rate is not None:
            return Estimate(rate, f"the newest replay of {pipeline} was answered at {rate:.1f} frames a second")
        mean = self._rows.mean_ms(pipeline, _MEASURED)
        if mean is None or mean[0] <= 0:
            return Estimate(None, "no earlier result says how long a frame takes")
        mean_ms, count = mean
        because = (
            f"one worker, one frame after the other, at {mean_ms:.1f} ms each (mean of the newest {count} results)"
        )
        return Estimate(1000 / mean_ms, because)

    def _count(self, task: Task) -> Counts:
        counts = Counts()
        kept: list[KnownFrame] = []
        for step in Walk(self._settings, self._rows, task, timeout_s=self._timeout_s).steps():
            if not isinstance(step, Found):
                self._show(counts.frames + len(kept))
            elif step.record is not None:
                counts.kafka_frames += 1
                counts.kafka_bytes += len(step.record.value or b"")
            elif step.known is not None:
                kept.append(step.known)
                if len(kept) >= _LOOKED_AT_ONCE:
                    self._look(kept, counts)
                    kept.clear()
        self._look(kept, counts)
        return counts

    def _look(self, kept: list[KnownFrame], counts: Counts) -> None:
        """See what of the frames that the topic has no more is really there."""
        with ThreadPoolExecutor(_LOOKS, thread_name_prefix="look") as threads:
            for known, there in zip(kept, threads.map(self._archive.has, kept), strict=True):
                if there:
                    counts.archived_frames += 1
                    counts.archived_bytes += known.size_bytes
                else:
                    counts.missing_frames += 1
