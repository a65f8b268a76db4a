"""The processor agent: frames in; results, artifacts and dead letters out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from processors.outcome import Artifact, Context, Failure, Outcome, Success
from processors.pipeline import process
from schemas.deadletter import Failed, dead_letter_message
from schemas.encoding import from_timestamp_ms
from schemas.errors import Code, InputError, OutageError, Stage
from schemas.frame import Frame, Origin, parse_frame
from schemas.message import Message, artifact_message, result_message
from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sightline.runtime.faults import AFTER_ACKNOWLEDGE, AFTER_PRODUCE, Faults
from sightline.runtime.log import get_logger
from streams.alerts import Alarm
from streams.claims import Claims
from streams.offload import Offload
from streams.offsets import LostRange
from streams.publisher import Publisher
from streams.tracker import Record

_log = get_logger(__name__)
# A failure that nobody foresaw is tried this often on its input alone before that input leaves.
_TRIES_ALONE = 3


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that never became a frame to process, or whose claim cannot be had."""

    error: InputError
    frame: Frame | None = None


Answer = Success | Failure | Rejected


class WorkerHandler:
    """One pipeline's worker. `worker` names the process in dead letters."""

    def __init__(
        self, context: Context, claims: Claims, offload: Offload, publisher: Publisher, alarm: Alarm, clock: Clock,
        faults: Faults, worker: str,
    ) -> None:  # fmt: skip
        self._context = context
        self._claims = claims
        self._offload = offload
        self._publisher = publisher
        self._alarm = alarm
        self._clock = clock
        self._faults = faults
        self._worker = worker
        self._pipeline = context.pipeline.name

    def prepare(self, records: Sequence[Record]) -> list[Answer]:
        """Parse, fetch what is claimed, process; one answer a record, in order. Raises OutageError."""
        answers: list[Answer | None] = [None] * len(records)
        inline: list[tuple[int, Frame]] = []
        for index, record in enumerate(records):
            try:
                frame = _parse(record)
            except InputError as error:
                answers[index] = Rejected(error)
                continue
            if frame.dataref is None:
                inline.append((index, frame))
            else:
                answers[index] = self._claimed(frame)
        for (index, _), outcome in zip(inline, self._process([frame for _, frame in inline]), strict=True):
            answers[index] = outcome
        return [answer for answer in answers if answer is not None]

    def deliver(self, records: Sequence[Record], prepared: list[Answer]) -> None:
        """Publish what each record gave rise to; the record is finished when all of that is acknowledged."""
        for record, answer in zip(records, prepared, strict=True):
            if record.held:
                self._publish(record, answer)
        self._faults.passing(AFTER_PRODUCE)

    def lost(self, lost: LostRange, on_reported: Callable[[], None]) -> None:
        """See `Handler.lost`."""
        self._alarm.lost(lost, on_reported)

    def blocked(self, outage: OutageError) -> None:
        """See `Handler.blocked`."""
        self._alarm.blocked(outage)

    def _claimed(self, frame: Frame) -> Answer:
        """Claimed pictures are fetched and processed one by one: they are the large ones."""
        try:
            value = self._claims.fetch(frame.dataref or "", self._context.pipeline.input.max_bytes)
        except InputError as error:
            return Rejected(error, frame)
        return self._process([replace(frame, value=value)])[0]

    def _process(self, frames: list[Frame]) -> list[Outcome]:
        """Process a batch; what fails in a way that nobody foresaw is tried alone, then leaves."""
        try:
            return process(frames, self._context)
        except Exception:  # noqa: BLE001 -- the boundary: one input's bug must not stop the stream
            _log.exception("batch failed", pipeline=self._pipeline, frames=len(frames))
        if len(frames) > 1:
            return [outcome for frame in frames for outcome in self._process([frame])]
        return [self._process_alone(frames[0])]

    def _process_alone(self, frame: Frame) -> Outcome:
        for attempt in range(1, _TRIES_ALONE + 1):
            try:
                return process([frame], self._context)[0]
            except Exception as error:
                kind = type(error).__name__
                _log.exception("frame failed", pipeline=self._pipeline, frame_id=frame.frame_id, attempt=attempt)
        reason = f"{kind}, {_TRIES_ALONE} times alone"
        return Failure(frame, InputError(Code.PROCESSING_FAILED, Stage.PROCESS, reason))

    def _publish(self, record: Record, answer: Answer) -> None:
        if isinstance(answer, Success):
            self._count_success(record, answer)
            self._publisher.publish(self._messages(answer), partial(self._finish, record))
            return
        failed = Failed(
            record.key, record.value, record.headers, Origin(record.topic, record.partition, record.offset),
            record.timestamp_ms,
        )  # fmt: skip
        frame = answer.frame
        message = dead_letter_message(
            self._pipeline, failed, answer.error, now=self._clock.now(), worker=self._worker,
            frame_id=None if frame is None else frame.frame_id,
        )  # fmt: skip
        metrics.DEAD_LETTERS.labels(self._pipeline, answer.error.stage.value, answer.error.code.value).inc()
        _log.info(
            "dead letter", pipeline=self._pipeline, stage=answer.error.stage.value, code=answer.error.code.value,
            frame_id=None if frame is None else frame.frame_id, topic=record.topic, partition=record.partition,
            offset=record.offset,
        )  # fmt: skip
        self._publisher.publish([message], partial(self._finish, record), self._offload.dead_letter)

    def _finish(self, record: Record) -> None:
        self._faults.passing(AFTER_ACKNOWLEDGE)
        record.finish()

    def _messages(self, success: Success) -> list[Message]:
        created_at = success.result.processed_at
        artifacts = [self._artifact(artifact, created_at) for artifact in success.artifacts]
        return [*artifacts, result_message(success.result, success.frame.traceparent)]

    def _artifact(self, artifact: Artifact, created_at: datetime) -> Message:
        message = artifact_message(self._pipeline, artifact.key, artifact.data, artifact.media_type, created_at)
        return message if len(artifact.data) <= ARTIFACT_LIMIT_BYTES else self._offload.artifact(message)

    def _count_success(self, record: Record, success: Success) -> None:
        result = success.result
        metrics.RESULTS.labels(self._pipeline, result.verdict or "").inc()
        made_s = (result.processed_at - from_timestamp_ms(record.timestamp_ms)).total_seconds()
        metrics.LATENCY_SECONDS.labels(self._pipeline).observe(max(made_s, 0.0))
        for stage, milliseconds in (result.timings_ms or {}).items():
            metrics.STAGE_SECONDS.labels(self._pipeline, stage).observe(milliseconds / 1000)


def _parse(record: Record) -> Frame:
    if record.headers is None:
        raise InputError(Code.HEADER_NAME_INVALID, Stage.FRAME, "a header's name is not UTF-8")
    origin = Origin(record.topic, record.partition, record.offset)
    return parse_frame(record.value, record.headers, origin, record.timestamp_ms)
