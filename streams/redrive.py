"""Sending dead letters back to where they came from, or on to where they are parked: none twice.

In this order, for one pipeline at a time:

1. Take the pipeline's lock in the database, so that two operators do not get in each other's way.
2. Fence: abort the transaction that an earlier redrive left open, and shut out its process should it still run
   (frozen, or cut off). From here on whatever it sent is visible, or never will be.
3. Settle what it left half-done (`streams.redrive_settle`), by looking whether its records are visible.

Then for each batch:

4. Read the originals. What has none, or can go nowhere, is reported and left as it is.
5. Claim: an action without an outcome is recorded for each, in the database. Nobody else can act on them now.
6. Send all in one Kafka transaction, and wait until the broker has them. Readers of committed records, as
   workers and sinks are, see none of them.
7. Record in the database where each lies.
8. Commit the Kafka transaction: all become visible at once.
9. Record in the database that it is done, and the state that follows. One whose result came already is resolved.

Killed before step 8, nothing was sent: the transaction is aborted by the next redrive's fence, or by the broker
after a few seconds; step 3 finds no record at the places noted, if any were, and takes the claim back. Killed after
step 8, step 3 finds the records at their places and does step 9. Killed in step 8, the fence waits until the broker
has ended that transaction either way, so that one of the two holds. Readers that ask for uncommitted records too
(Java's default) may see what an aborted transaction sent, as with every transaction.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import Engine

from schemas.errors import OutageError, SetupError
from schemas.message import Message
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.faults import REDRIVE_CLAIMED, REDRIVE_COMMITTED, REDRIVE_SENT, Faults
from sightline.runtime.objectstore import ObjectStore
from sightline.runtime.settings import KafkaSettings
from sinks.postgres.deadletter_actions import (
    Intent,
    Outcome,
    begin_actions,
    end_actions,
    pipeline_lock,
    place_actions,
)
from sinks.postgres.reader import Row, read_dead_letters
from streams.redrive_plan import Handled, Step, step_message
from streams.redrive_read import Originals, RecordReader
from streams.redrive_send import RefusedError, Sender
from streams.redrive_settle import Settled, resolve_stored_objects, settle_sent

_T = TypeVar("_T")
_BATCH_RECORDS = 100
_BATCH_BYTES = 8 * 1024 * 1024
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """Who redrives, in which states, how many records a second at most, and how long a service may take to answer."""

    actor: str
    states: tuple[str, ...]
    rate: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Services:
    """What a redrive works with. Without a store, what lies only there cannot be sent."""

    engine: Engine
    kafka: KafkaSettings
    store: ObjectStore | None
    clock: Clock
    faults: Faults


@dataclass(frozen=True, slots=True)
class _Ready:
    step: Step
    row: Row
    message: Message


class Redrive:
    """One run for one pipeline. `plan` says what is to be done with each row; `on_settled` hears of step 3."""

    def __init__(
        self,
        services: Services,
        limits: Limits,
        pipeline: str,
        plan: Callable[[Row], Step],
        on_settled: Callable[[Settled], None],
    ) -> None:
        self._engine = services.engine
        self._services = services
        self._limits = limits
        self._pipeline = pipeline
        self._plan = plan
        self._on_settled = on_settled
        self._topics: dict[str, bool] = {}

    def run(self, dl_ids: Sequence[str]) -> Iterator[Handled]:
        """Yield each dead letter with what became of it. Blocks.

        Raises BusyError, OutageError and SetupError; run again, it goes on where it stopped.
        """
        services, timeout_s = self._services, self._limits.timeout_s
        with ExitStack() as stack:
            # 1.
            stack.enter_context(pipeline_lock(self._engine, self._pipeline))
            self._sender = stack.enter_context(closing(Sender(services.kafka, self._pipeline, timeout_s)))
            self._reader = stack.enter_context(closing(RecordReader(services.kafka, timeout_s)))
            self._originals = Originals(self._reader, services.store)
            # 2.
            self._sender.fence()
            # 3.
            for settled in settle_sent(self._engine, self._reader, self._pipeline, services.clock.now()):
                self._on_settled(settled)
            if services.store is not None:
                # What an outage hides today, the next redrive finds.
                with suppress(OutageError):
                    resolve_stored_objects(self._engine, services.store, self._pipeline)
            yield from self._paced(dl_ids)

    def _paced(self, dl_ids: Sequence[str]) -> Iterator[Handled]:
        clock, rate = self._services.clock, self._limits.rate
        started, sent = clock.monotonic(), 0
        for batch in self._batches(dl_ids):
            ready = [one for one in batch if isinstance(one, _Ready)]
            yield from (one for one in batch if isinstance(one, Handled))
            if ready:
                clock.wait(threading.Event(), max(0.0, started + sent / rate - clock.monotonic()))
                sent += len(ready)
                yield from self._send(ready)

    def _batches(self, dl_ids: Sequence[str]) -> Iterator[list[_Ready | Handled]]:
        """Yield batches that end at a count or at a sum of bytes; a slow rate makes them small."""
        most = max(1, min(_BATCH_RECORDS, int(self._limits.rate)))
        batch: list[_Ready | Handled] = []
        size_bytes = 0
        for start in range(0, len(dl_ids), _PAGE):
            for row in read_dead_letters(self._engine, dl_ids[start : start + _PAGE]):
                # Settled in step 3, or by somebody else since it was chosen.
                if row["state"] not in self._limits.states:
                    continue
                one = self._prepare(row)
                batch.append(one)
                size_bytes += len(one.message.value or b"") if isinstance(one, _Ready) else 0
                if len(batch) >= most or size_bytes >= _BATCH_BYTES:
                    yield batch
                    batch, size_bytes = [], 0
        if batch:
            yield batch

    def _prepare(self, row: Row) -> _Ready | Handled:
        """Do step 4 for one row."""
        step = self._plan(row)
        if step.action is None:
            return Handled(step)
        topic = step.topic or ""
        if topic not in self._topics:
            self._topics[topic] = self._reader.knows(topic)
        if not self._topics[topic]:
            return Handled(_not(step, f"there is no topic {topic}; `sightline topics apply {self._pipeline}` makes it"))
        original = self._originals.find(row)
        if original is None:
            return Handled(_not(step, self._gone()))
        return _Ready(step, row, step_message(step, original))

    def _gone(self) -> str:
        elsewhere = "SIGHTLINE_OBJECTS_URL is not set" if self._services.store is None else "not in the object store"
        return f"its bytes are gone from Kafka, and {elsewhere}"

    def _send(self, batch: Sequence[_Ready]) -> Iterator[Handled]:
        """Do steps 5 to 9. A batch in which the broker refuses some is taken back, and sent without those."""
        # 5.
        batch_id = str(uuid.uuid4())
        claimed = self._claim(batch_id, batch)
        self._services.faults.passing(REDRIVE_CLAIMED)
        yield from (
            Handled(_not(one.step, "it has changed meanwhile, or a purge of it was broken off"))
            for one in batch
            if one.step.dl_id not in claimed
        )
        mine = [one for one in batch if one.step.dl_id in claimed]
        if not mine:
            return
        # 6.
        try:
            places = self._sender.send([one.message for one in mine])
        except RefusedError as refused:
            self._saved(lambda: end_actions(self._engine, batch_id, Outcome.UNDONE))
            yield from self._without(refused, mine)
            return
        except OutageError:
            # It was aborted. Should this fail too, the next redrive finds the claims without a place.
            end_actions(self._engine, batch_id, Outcome.UNDONE)
            raise
        # 7.
        by_id = {one.step.dl_id: place for one, place in zip(mine, places, strict=True)}
        place_actions(self._engine, batch_id, by_id)
        self._services.faults.passing(REDRIVE_SENT)
        # 8.
        self._sender.commit()
        self._services.faults.passing(REDRIVE_COMMITTED)
        # 9.
        self._saved(lambda: end_actions(self._engine, batch_id, Outcome.DONE))
        yield from (Handled(one.step, by_id[one.step.dl_id]) for one in mine)

    def _claim(self, batch_id: str, batch: Sequence[_Ready]) -> set[str]:
        intents = [
            Intent(
                one.step.dl_id,
                one.step.action,
                one.step.topic,
                {"attempt": one.step.attempt, "reason": one.step.reason, "state": one.row["state"]},
            )
            for one in batch
            if one.step.action is not None
        ]
        actor, states = self._limits.actor, self._limits.states
        return self._saved(lambda: begin_actions(self._engine, batch_id, actor, intents, states))

    def _without(self, refused: RefusedError, batch: Sequence[_Ready]) -> Iterator[Handled]:
        """Send those that were not refused, and each of the others alone: one may be refused for its neighbour."""
        if len(batch) == 1:
            yield Handled(_not(batch[0].step, f"{batch[0].step.topic} refuses it: {refused.reasons[0]}"))
            return
        others = [one for index, one in enumerate(batch) if index not in refused.reasons]
        if others:
            yield from self._send(others)
        for index in sorted(refused.reasons):
            yield from self._send([batch[index]])

    def _saved(self, call: Callable[[], _T]) -> _T:
        """Call the database, and once more after a short outage or a lost race. Raises OutageError in the end."""
        clock, backoff = self._services.clock, Backoff()
        deadline = clock.monotonic() + self._limits.timeout_s
        while True:
            try:
                return call()
            except SetupError:
                raise
            except OutageError:
                if clock.monotonic() > deadline:
                    raise
                clock.wait(threading.Event(), backoff.next_delay_s())


def _not(step: Step, reason: str) -> Step:
    return replace(step, action=None, reason=reason)
