"""Which frames a replay is of."""

import math
from datetime import datetime

from pydantic import ValidationError

from schemas import topics
from schemas.encoding import from_timestamp_ms, parse_time
from schemas.envelope import open_envelope
from schemas.errors import InputError
from schemas.frame import ENVELOPE_LIMIT_BYTES, STRUCTURED_MEDIA_TYPE
from schemas.headers import single_values
from schemas.replaycommand import ReplaySelection, Window
from sinks.postgres.replay_frames import FrameFilter
from streams.read import TopicRecord


class Selection(ReplaySelection):
    """What narrows a replay of a pipeline; see the base class."""

    pipeline: str

    @property
    def by_rows(self) -> bool:
        """Tell whether rows choose the frames, and not what the records themselves say."""
        return bool(self.of_results or self.codes or self.frame_ids)

    @property
    def by_content(self) -> bool:
        """Tell whether what the records say of themselves narrows."""
        return bool(self.cameras or self.captured_from or self.captured_to)

    def rows(self, before: datetime, *, by_answer: bool) -> FrameFilter:
        """Return the filter for rows; those stored after `before` do not count, so that a plan stays what it is.

        `by_answer`: arrival is taken from when a frame was answered, as where no offsets tell it.
        """
        return FrameFilter(
            pipeline=self.pipeline,
            topic=topics.frames(self.pipeline),
            before=before,
            sources=self.cameras,
            frame_ids=self.frame_ids,
            codes=self.codes,
            captured_from=self.captured_from,
            captured_to=self.captured_to,
            answered_from=self.arrived_from if by_answer else None,
            answered_to=self.arrived_to if by_answer else None,
            verdict=self.verdict,
            score_from=self.score_from,
            score_to=self.score_to,
            model=self.model,
        )

    def wants(self, record: TopicRecord) -> bool:
        """Tell whether camera and capture time fit; a record that does not say them fits only where none is asked."""
        bounds = self.captured_from, self.captured_to
        if not self.cameras and bounds == (None, None):
            return True
        try:
            source, captured_at = _describe(record)
        except (InputError, ValueError):
            return False
        if self.cameras and source not in self.cameras:
            return False
        begin, end = bounds
        return (begin is None or captured_at >= begin) and (end is None or captured_at < end)


def first_problem(error: ValidationError) -> str:
    """Return in one line what is wrong with a selection."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return f"{where}: {message}" if where else message


def _describe(record: TopicRecord) -> tuple[str | None, datetime]:
    attributes = single_values(record.headers or [])
    if attributes.get("content-type", "").split(";", 1)[0].strip().lower() == STRUCTURED_MEDIA_TYPE:
        attributes, _ = open_envelope(record.value, ENVELOPE_LIMIT_BYTES)
    text = attributes.get("ce_time")
    captured_at = from_timestamp_ms(record.timestamp_ms) if text is None else parse_time(text)
    return attributes.get("ce_source"), captured_at


def parse_window(text: str) -> tuple[int, Window]:
    """Read `PARTITION:FROM-TO` or `PARTITION:FROM-`; the end is exclusive. Raises ValueError."""
    partition, _, span = text.partition(":")
    begin, dash, end = span.partition("-")
    if not dash:
        raise ValueError("no dash")
    return int(partition), (int(begin), int(end) if end else None)


def parse_scores(text: str) -> tuple[float | None, float | None]:
    """Read `FROM-TO`, `FROM-` or `-TO`. Raises ValueError."""
    begin, dash, end = text.partition("-")
    if not dash:
        raise ValueError("no dash")
    bounds = tuple(float(part) if part else None for part in (begin, end))
    if any(bound is not None and not math.isfinite(bound) for bound in bounds):
        raise ValueError("not finite")
    return bounds[0], bounds[1]
