"""The processor agent: frames in; results, artifacts and dead letters out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from processors.emr import emr_json
from processors.outcome import Artifact, Context, Failure, Outcome, Success
from processors.pipeline import process
from processors.shadow import differences
from schemas.encoding import from_timestamp_ms
from schemas.errors import Code, InputError, OutageError, Stage
from schemas.frame import Frame, Origin, parse_frame
from schemas.message import artifact_message, emr_message, result_message
from sightline.runtime import metrics
from sightline.runtime.faults import AFTER_ACKNOWLEDGE, AFTER_PRODUCE, Faults
from sightline.runtime.log import get_logger
from streams.claims import Claims
from streams.deadletters import DeadLetters
from streams.offload import ARTIFACT_LIMIT_BYTES, Offload
from streams.publisher import Outgoing, Publishes
from streams.skipping import skipped_answer
from streams.tracker import Record
from streams.watch import Unwatched, Watches

_log = get_logger(__name__)
# A failure that nobody foresaw is tried this often on its input alone before that input leaves.
_TRIES_ALONE = 3
_RESULT_TOO_LARGE = InputError(Code.RESULT_TOO_LARGE, Stage.SUMMARISE, "the result is larger than a message may be")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that never became a frame to process: its envelope is wrong, or its claim cannot be had."""

    error: InputError
    frame: Frame | None = None


Answer = Success | Failure | Rejected


class WorkerHandler:
    """One pipeline's worker, behind `streams.loop.Loop`.

    `check_models` raises OutageError while a model that the pipeline needs is not loaded. `parse` makes a frame of a
    record, or raises InputError. `skip` says why a frame is not looked at, or None. `label` stands in metrics in place
    of the pipeline's name. `watch` is told what is in hand.
    """

    def __init__(  # noqa: PLR0913 -- named one by one in the composition root, and nowhere else
        self,
        context: Context,
        *,
        claims: Claims,
        offload: Offload,
        publisher: Publishes,
        dead_letters: DeadLetters,
        faults: Faults,
        check_models: Callable[[], None],
        parse: Callable[[Record], Frame] | None = None,
        skip: Callable[[Frame, Record], str | None] | None = None,
        label: str | None = None,
        watch: Watches | None = None,
    ) -> None:
        self._context = context
        self._check_models = check_models
        self._claims = claims
        self._offload = offload
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._faults = faults
        self._pipeline = context.pipeline.name
        self._parse = parse or _parse
        self._skip = skip or (lambda *_: None)
        self._label = label or self._pipeline
        self._watch = watch or Unwatched()

    def prepare(self, records: Sequence[Record]) -> list[Answer]:
        """Parse, fetch what is claimed, process; one answer a record, in order. Raises OutageError."""
        self._check_models()
        answers: dict[int, Answer] = {}
        inline: dict[int, Frame] = {}
        for index, record in enumerate(records):
            try:
                frame = self._parse(record)
            except InputError as error:
                answers[index] = Rejected(error)
                continue
            if (reason := self._skip(frame, record)) is not None:
                answers[index] = skipped_answer(frame, self._pipeline, reason, self._context.now())
            elif (blame := self._watch.blamed(record)) is not None:
                answers[index] = Rejected(blame, frame)
            elif frame.dataref is None:
                inline[index] = frame
            else:
                answers[index] = self._claimed(frame, frame.dataref, record)
        outcomes = self._process(list(inline.values()), [records[index] for index in inline])
        answers.update(zip(inline, outcomes, strict=True))
        return [answers[index] for index in range(len(records))]

    def deliver(self, records: Sequence[Record], prepared: list[Answer]) -> None:
        """Publish what each record gave rise to; the record is finished when all of that is acknowledged.

        What may meet an outage comes first: a call that is repeated must not find half of the batch published.
        """
        artifacts = [self._artifacts(answer) if isinstance(answer, Success) else [] for answer in prepared]
        for record, answer, kept in zip(records, prepared, artifacts, strict=True):
            if not record.held:
                continue
            finish = partial(self._finish, record)
            results = self._results(answer) if isinstance(answer, Success) else []
            if isinstance(answer, Success) and any(map(_is_too_large, results)):
                self._dead_letters.send(self._pipeline, record, _RESULT_TOO_LARGE, finish, answer.frame.frame_id)
            elif isinstance(answer, Success):
                self._count(record, answer)
                self._publisher.publish([*kept, *results], finish)
            else:
                frame_id = None if answer.frame is None else answer.frame.frame_id
                self._dead_letters.send(self._pipeline, record, answer.error, finish, frame_id)
        self._faults.passing(AFTER_PRODUCE)

    def _claimed(self, frame: Frame, dataref: str, record: Record) -> Answer:
        """Claimed pictures are fetched and processed one by one: they are the large ones."""
        try:
            value = self._claims.fetch(dataref, self._context.pipeline.input.max_bytes)
        except InputError as error:
            return Rejected(error, frame)
        outcome = self._process([replace(frame, value=value)], [record])[0]
        # The outcome waits for its turn to be published; the fetched bytes need not wait with it.
        return replace(outcome, frame=frame)

    def _process(self, frames: list[Frame], records: Sequence[Record]) -> list[Outcome]:
        """Process a batch, and have it known that its records are in hand: native code might not come back."""
        if not frames:
            return []
        with self._watch.over(records):
            self._faults.meet(frame.value for frame in frames)
            return self._process_together(frames)

    def _process_together(self, frames: list[Frame]) -> list[Outcome]:
        """Process a batch; one that fails in a way that nobody foresaw is tried frame by frame."""
        try:
            return process(frames, self._context)
        except OutageError:
            raise
        except Exception:  # noqa: BLE001 -- the boundary: a bug that one input meets must not stop the stream
            _log.exception("batch failed", pipeline=self._pipeline, frames=len(frames))
        return [self._process_alone(frame) for frame in frames]

    def _process_alone(self, frame: Frame) -> Outcome:
        kind = ""
        for attempt in range(1, _TRIES_ALONE + 1):
            try:
                return process([frame], self._context)[0]
            except OutageError:
                raise
            except Exception as error:  # noqa: BLE001 -- as above
                kind = type(error).__name__
                _log.exception("frame failed", pipeline=self._pipeline, frame_id=frame.frame_id, attempt=attempt)
        reason = f"{kind}, {_TRIES_ALONE} times alone"
        return Failure(frame, InputError(Code.PROCESSING_FAILED, Stage.PROCESS, reason))

    def _finish(self, record: Record) -> None:
        self._faults.passing(AFTER_ACKNOWLEDGE)
        record.finish()

    def _results(self, success: Success) -> list[Outgoing]:
        """Return the result, and where they are wanted its EMR form and the shadow's result."""
        result, traceparent = success.result, success.frame.traceparent
        messages = [result_message(result, traceparent)]
        if self._context.pipeline.emr and (emr := emr_json(result)) is not None:
            messages.append(emr_message(result, emr, traceparent))
        outgoing = [Outgoing(message) for message in messages]
        if success.shadow is not None and success.shadow.result is not None:
            beside = Outgoing(result_message(success.shadow.result, traceparent))
            outgoing += [] if _is_too_large(beside) else [beside]
        return outgoing

    def _artifacts(self, success: Success) -> list[Outgoing]:
        return [self._artifact(artifact, success.result.processed_at) for artifact in success.artifacts]

    def _artifact(self, artifact: Artifact, created_at: datetime) -> Outgoing:
        key, media_type = artifact.key, artifact.media_type
        message = artifact_message(self._pipeline, key, artifact.data, media_type, created_at)
        return Outgoing(
            self._offload.artifact(message, key, media_type),
            lambda refused: self._offload.refused_artifact(refused, key, media_type),
        )

    def _count(self, record: Record, success: Success) -> None:
        result = success.result
        metrics.RESULTS.labels(self._label, result.verdict or "").inc()
        if result.kind == "skipped":
            metrics.FRAMES_SKIPPED.labels(self._label, (result.summary or {}).get("skipped", "gate")).inc()
        made_s = (result.processed_at - from_timestamp_ms(record.timestamp_ms)).total_seconds()
        metrics.LATENCY_SECONDS.labels(self._label).observe(max(made_s, 0.0))
        if success.shadow is not None:
            other = success.shadow.result
            for kind in ("failed",) if other is None else differences(result, other):
                metrics.SHADOW_DIFFERENCES.labels(self._label, kind).inc()
        for stage, milliseconds in (result.timings_ms or {}).items():
            metrics.STAGE_SECONDS.labels(self._label, stage).observe(milliseconds / 1000)


def _is_too_large(outgoing: Outgoing) -> bool:
    """Tell whether the broker would refuse a result: it would be tried for ever, and all behind it wait."""
    return len(outgoing.message.value or b"") > ARTIFACT_LIMIT_BYTES


def _parse(record: Record) -> Frame:
    if record.headers is None:
        raise InputError(Code.HEADER_NAME_INVALID, Stage.FRAME, "a header's name is not UTF-8")
    origin = Origin(record.topic, record.partition, record.offset)
    return parse_frame(record.value, record.headers, origin, record.timestamp_ms)
