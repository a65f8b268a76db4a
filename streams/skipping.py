"""Which frames are not looked at: those past their deadline, and where the pipeline allows it, old ones of a backlog.

A skipped frame is answered as any other, by a result that says so; decoding is not spent on it. Only frames that newer
ones wait behind count as backlog: the last frame that a camera sent is looked at, however late.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Final

from processors.outcome import Success
from schemas.encoding import from_timestamp_ms
from schemas.frame import Frame
from schemas.identity import result_id
from schemas.pipeline import PipelineDefinition
from schemas.result import OriginReference, Result
from streams.tracker import Record

# Whoever skips to the newest frames goes on until they are this much younger than what counts as behind.
_CAUGHT_UP: Final = 0.2
_HASH_BYTES: Final = 4


class Skipped(StrEnum):
    """Why a frame was not looked at: `summary.skipped` of its result."""

    DEADLINE = "deadline"
    NEWEST_FIRST = "newest-first"
    THINNED = "thinned"


class Skipping:
    """Decides for one pipeline; may be asked from several threads. `now` is the wall clock."""

    def __init__(self, definition: PipelineDefinition, now: Callable[[], datetime]) -> None:
        self._choice = definition.when_behind
        self._rules = definition.behind
        self._now = now
        self._behind: dict[int, bool] = {}  # by partition

    def __call__(self, frame: Frame, record: Record) -> Skipped | None:
        """Say why this frame is not looked at, or None."""
        now, deadline = self._now(), frame.settings.deadline
        if deadline is not None and deadline < now:
            return Skipped.DEADLINE
        if self._choice == "never_drop":
            return None
        age_s = (now - from_timestamp_ms(record.timestamp_ms)).total_seconds()
        if self._choice == "newest_first":
            return Skipped.NEWEST_FIRST if self._is_behind(record, age_s) else None
        thin = age_s > self._rules.lag_s and record.newer > 0
        return Skipped.THINNED if thin and not is_kept(frame.frame_id, self._rules.keep_share) else None

    def _is_behind(self, record: Record, age_s: float) -> bool:
        """Tell whether this frame is to be passed by; once that begins, it goes on until the newest are near.

        Else each frame that is looked at would be as old as is just allowed.
        """
        bound_s = self._rules.lag_s * (_CAUGHT_UP if self._behind.get(record.partition) else 1.0)
        behind = self._behind[record.partition] = age_s > bound_s and record.newer > 0
        return behind


def is_kept(frame_id: str, share: float) -> bool:
    """Choose a share of frames by their ids: on every worker, and at every redelivery, the same ones."""
    digest = hashlib.blake2b(frame_id.encode(), digest_size=_HASH_BYTES, person=b"thin out").digest()
    return int.from_bytes(digest) < share * 256**_HASH_BYTES


def skipped_answer(frame: Frame, pipeline: str, reason: str, now: datetime) -> Success:
    """Return the answer to a frame that was not looked at: its result names the reason, and nothing of the picture."""
    origin = frame.origin
    result = Result(
        result_id=result_id(frame.frame_id, pipeline, None, "live"),
        frame_id=frame.frame_id,
        event_id=frame.event_id,
        pipeline=pipeline,
        kind="skipped",
        source=frame.source,
        captured_at=frame.captured_at,
        processed_at=now,
        summary={"skipped": reason},
        origin=OriginReference(topic=origin.topic, partition=origin.partition, offset=origin.offset),
    )
    return Success(frame, result, ())
