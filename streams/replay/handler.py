"""A worker's handler for frames that are sent once more: each by the overrides of its replay, none if cancelled."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from processors.outcome import Context, Success
from schemas.errors import InputError
from schemas.replay import SKIPPED_CANCELLED, OverridesReference, Replayed
from streams.replay.answers import of_replay
from streams.replay.contexts import ReplayContexts
from streams.replay.frames import parse_replayed, read_block
from streams.skipping import skipped_answer
from streams.tracker import Record
from streams.worker import Answer, Rejected, WorkerHandler


class KnowsCancelled(Protocol):
    """Which replays are cancelled; see `streams.replay.cancellations.Cancellations`."""

    def check(self) -> None:
        """Raise OutageError while it is not known."""
        ...

    def cancelled(self, replay_id: str) -> bool:
        """Tell whether a replay is cancelled."""
        ...


# One batch's worth of work by a data path: a new handler costs nothing, it only refers to what it is given.
MakeHandler = Callable[[Context], WorkerHandler]


class ReplayHandler:
    """One pipeline's replays, with a worker's interface. What the models see together has equal overrides."""

    def __init__(
        self,
        pipeline: str,
        contexts: ReplayContexts,
        make_handler: MakeHandler,
        cancellations: KnowsCancelled,
        now: Callable[[], datetime],
    ) -> None:
        self._pipeline = pipeline
        self._contexts = contexts
        self._make_handler = make_handler
        self._cancellations = cancellations
        self._now = now
        # Overrides say how frames are judged; how answers are published is the same for all.
        with contexts.use(None) as live:
            self._sender = make_handler(live)

    def prepare(self, records: Sequence[Record]) -> list[Answer]:
        """Answer the records, those of equal overrides together; one answer a record, in order. Raises OutageError."""
        self._cancellations.check()
        answers: dict[int, Answer] = {}
        wanted: dict[OverridesReference | None, list[tuple[int, Replayed]]] = defaultdict(list)
        for index, record in enumerate(records):
            try:
                replayed = read_block(record)
            except InputError as error:
                answers[index] = Rejected(error)
                continue
            if self._cancellations.cancelled(replayed.replay_id):
                answers[index] = self._skip(record, replayed)
            else:
                wanted[replayed.overrides].append((index, replayed))
        for reference, alike in wanted.items():
            answered = self._answer(reference, [(records[index], replayed) for index, replayed in alike])
            answers.update(zip((index for index, _ in alike), answered, strict=True))
        return [answers[index] for index in range(len(records))]

    def deliver(self, records: Sequence[Record], prepared: list[Answer]) -> None:
        """Publish, as a worker does."""
        self._sender.deliver(records, prepared)

    def _answer(self, reference: OverridesReference | None, pairs: list[tuple[Record, Replayed]]) -> list[Answer]:
        records = [record for record, _ in pairs]
        try:
            with self._contexts.use(reference) as context:
                answers = self._make_handler(context).prepare(records)
        except InputError as error:
            return [_reject(record, error) for record in records]
        return [
            of_replay(answer, replayed) if isinstance(answer, Success) else answer
            for answer, (_, replayed) in zip(answers, pairs, strict=True)
        ]

    def _skip(self, record: Record, replayed: Replayed) -> Answer:
        try:
            frame = parse_replayed(record)
        except InputError as error:
            return Rejected(error)
        return of_replay(skipped_answer(frame, self._pipeline, SKIPPED_CANCELLED, self._now()), replayed)


def _reject(record: Record, error: InputError) -> Answer:
    try:
        return Rejected(error, parse_replayed(record))
    except InputError as broken:
        return Rejected(broken)
