"""The worker behind its flood guard: what was judged is published only as long as work is not halted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from processors.outcome import Success
from schemas.headers import last_text
from streams.alerts import Alarm
from streams.flood import Flood, FloodGuard, Verdict
from streams.tracker import Record
from streams.worker import Answer

# So many frames are tried while work is halted.
PROBE_FRAMES: Final = 16


class Worker(Protocol):
    """Answers frames: `streams.worker.WorkerHandler`, or what replays have in its place."""

    def prepare(self, records: Sequence[Record]) -> list[Answer]:
        """Judge records, and publish nothing; one answer a record, in order. Raises OutageError."""
        ...

    def deliver(self, records: Sequence[Record], prepared: list[Answer]) -> None:
        """Publish the answers. Raises OutageError, with nothing of them published."""
        ...


@dataclass(slots=True)
class Judged:
    """A batch's answers. `stage` is the guard's when they were made; `floods` are alerted about when they go out."""

    answers: list[Answer]
    stage: int
    counted: bool = False
    floods: list[Flood] = field(default_factory=list)


class GuardedHandler:
    """A worker's handler, behind `streams.loop.Loop`, that halts when a flood has a common cause."""

    def __init__(self, worker: Worker, guard: FloodGuard, alarm: Alarm) -> None:
        self._worker = worker
        self._guard = guard
        self._alarm = alarm

    def prepare(self, records: Sequence[Record]) -> Judged:
        """Judge a batch. Raises OutageError."""
        stage = self._guard.stage
        return Judged(self._worker.prepare(records), stage)

    def deliver(self, records: Sequence[Record], prepared: Judged) -> None:
        """Count, then publish. Raises FloodHaltError, with nothing of the batch published, and other OutageErrors."""
        if not prepared.counted:
            self._pass(records, prepared)
        self._worker.deliver(records, prepared.answers)
        for flood in prepared.floods:
            self._alarm.flooded(flood)

    def _pass(self, records: Sequence[Record], judged: Judged) -> None:
        """Let a batch go out, once what failed before a halt ended is judged again: it may be innocent."""
        if self._guard.halted:
            self._guard.probe(lambda: self._try_again(records, judged))
        if judged.stage != self._guard.stage:
            self._judge_again(records, judged)
        held = any(record.held for record in records)
        judged.floods = self._guard.count(_verdicts(records, judged.answers) if held else [])
        judged.counted = True

    def _try_again(self, records: Sequence[Record], judged: Judged) -> list[bool]:
        suspects = [records[place] for place in _failed(judged)[:PROBE_FRAMES]]
        return [verdict.code is None for verdict in judge_beside(self._worker, suspects)]

    def _judge_again(self, records: Sequence[Record], judged: Judged) -> None:
        stage, failed = self._guard.stage, _failed(judged)
        answers = self._worker.prepare([records[place] for place in failed]) if failed else []
        for place, answer in zip(failed, answers, strict=True):
            judged.answers[place] = answer
        judged.stage = stage


def judge_beside(worker: Worker, records: Sequence[Record]) -> list[Verdict]:
    """Judge records beside the stream: nothing is published. Raises OutageError."""
    return _verdicts(records, worker.prepare(records)) if records else []


def _verdicts(records: Sequence[Record], answers: Sequence[Answer]) -> list[Verdict]:
    """Return what became of those frames that were looked at; those that were skipped say nothing."""
    pairs = zip(records, answers, strict=True)
    return [_verdict(record, answer) for record, answer in pairs if not _is_skipped(answer)]


def _failed(judged: Judged) -> list[int]:
    return [place for place, answer in enumerate(judged.answers) if not isinstance(answer, Success)]


def _is_skipped(answer: Answer) -> bool:
    return isinstance(answer, Success) and answer.result.kind == "skipped" and answer.result.quality is None


def _verdict(record: Record, answer: Answer) -> Verdict:
    code = None if isinstance(answer, Success) else answer.error.code.value
    if answer.frame is not None:
        return Verdict(answer.frame.source, code)
    named = last_text(record.headers or [], "ce_source")
    return Verdict(named or (record.key or b"").decode("utf-8", "replace"), code)
