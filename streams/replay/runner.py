"""Publishes the frames of a replay: in order, acknowledged, saved; stopped at any moment, it goes on from there.

1. a frame is read, and handed to the publisher;
2. the broker acknowledges it;
3. how far each partition has come is saved: only as far as everything before is acknowledged.

Killed between 2 and 3, the same frames are sent again; ids derived from them keep their rows single.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from schemas import topics
from schemas.errors import OutageError, SetupError
from schemas.frame import Origin
from schemas.message import Message
from schemas.replay import OverridesReference, Replayed, replay_headers
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.faults import REPLAY_ACKNOWLEDGED, REPLAY_SAVED, Faults
from sightline.runtime.kafka import SERVICE
from sightline.runtime.log import get_logger
from sinks.postgres.replay_frames import KnownFrame
from sinks.postgres.replays import CANCELLED, PAUSED, PUBLISHED, RUNNING, PartitionProgress, ReplayBook
from streams.publisher import Outgoing, Publisher
from streams.read import TopicRecord
from streams.replay.archive import Archive
from streams.replay.ledger import Ledger, Sent
from streams.replay.limiter import Limiter
from streams.replay.walk import Found, Reached, Walk

_log = get_logger(__name__)
_SAVE_EVERY_S: Final = 0.5
_WAIT_S: Final = 0.02
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Job:
    """What is replayed, and by what name."""

    replay_id: str
    pipeline: str
    overrides: OverridesReference | None


@dataclass(frozen=True, slots=True)
class Seen:
    """How a run stands: for whoever shows it."""

    progress: list[PartitionProgress]
    state: str
    waits_for: str | None  # what must catch up before more is sent


# A walk over what is left: the window of each partition.
MakeWalk = Callable[[dict[int, tuple[int, int]]], Walk]


class Runner:
    """One run of a replay. `show` is called about twice a second, from the thread of `run`."""

    def __init__(
        self,
        job: Job,
        book: ReplayBook,
        publisher: Publisher,
        archive: Archive,
        limiter: Limiter,
        faults: Faults,
        clock: Clock,
        show: Callable[[Seen], None],
    ) -> None:
        self._job = job
        self._book = book
        self._publisher = publisher
        self._archive = archive
        self._limiter = limiter
        self._faults = faults
        self._clock = clock
        self._show = show
        self._ledger = Ledger(book.progress(job.replay_id))
        self._topic = topics.frames_replay(job.pipeline)
        self._state = RUNNING
        self._next_save = 0.0
        self._stop = threading.Event()

    def run(self, walk: MakeWalk, stop: threading.Event) -> str:
        """Publish all that is left, and return the state that the replay came to; blocks, also while it is paused.

        `stop` ends the run early, from any thread: another one goes on where it was. An outage of the broker, the
        database or the object store is waited out, unless the run is to stop, or its publisher is of no use any more,
        so that only another run gets on: then it is raised. Raises SetupError.
        """
        self._stop = stop
        backoff = Backoff()
        while not self._ended() and (left := self._ledger.left()):
            try:
                self._go(walk(left))
            except SetupError:
                raise
            except OutageError as outage:
                if self._publisher.stalled() is not None:
                    raise
                _log.warning("replay waits", replay_id=self._job.replay_id, reason=str(outage))
                self._clock.wait(self._stop, backoff.next_delay_s())
        return self._finish()

    def _go(self, walk: Walk) -> None:
        for step in walk.steps():
            self._tend()
            if isinstance(step, Reached):
                self._ledger.reached(step.partition, step.offset)
            elif isinstance(step, Found) and self._wait_for_leave():
                self._send(step)
            if self._ended():
                return

    def _ended(self) -> bool:
        return self._state == CANCELLED or self._stop.is_set()

    def _wait_for_leave(self) -> bool:
        """Wait while the replay is paused or yields; return whether it goes on."""
        while self._state == PAUSED or not self._limiter.may_go():
            self._clock.wait(self._stop, _WAIT_S)
            self._tend()
            if self._ended():
                return False
        return not self._ended()

    def _send(self, found: Found) -> None:
        """Hand one frame to the publisher, or note that it is nowhere."""
        if found.record is not None:
            message, size_bytes = self._message(found.record), len(found.record.value or b"")
            sent = Sent(found.offset, size_bytes)
        else:
            restored = None if found.known is None else self._restored(found.known)
            if restored is None:
                self._ledger.sent(found.partition, Sent(found.offset, missing=True, done=True))
                return
            message = restored
            sent = Sent(found.offset, len(message.value or b""), archived=True)
        self._ledger.sent(found.partition, sent)
        self._publisher.publish([Outgoing(message)], partial(self._acknowledged, found.partition, sent))

    def _acknowledged(self, partition: int, sent: Sent) -> None:
        self._faults.passing(REPLAY_ACKNOWLEDGED)
        self._ledger.acknowledge(partition, sent)

    def _message(self, record: TopicRecord) -> Message:
        replayed = Replayed(
            self._job.replay_id,
            Origin(record.topic, record.partition, record.offset),
            record.timestamp_ms,
            self._job.overrides,
            headers_lost=record.headers is None,
        )
        return Message(self._topic, record.key, record.value, [*(record.headers or []), *replay_headers(replayed)])

    def _restored(self, known: KnownFrame) -> Message | None:
        restored = self._insist(lambda: self._archive.restore(known))
        if restored is None:
            return None
        replayed = Replayed(
            self._job.replay_id,
            Origin(topics.frames(self._job.pipeline), known.partition, known.offset),
            restored.timestamp_ms,
            self._job.overrides,
            restored.frame_id,
            restored.headers_lost,
            restored.metadata,
            restored.original,
        )
        headers = [*restored.headers, *replay_headers(replayed)]
        return Message(self._topic, restored.key, restored.value, headers)

    def _tend(self) -> None:
        """Save now and then, and hear whether somebody has paused or cancelled the replay. Raises OutageError."""
        stalled = self._publisher.stalled()
        if stalled is not None:
            raise OutageError(SERVICE, stalled)
        now = self._clock.monotonic()
        if now >= self._next_save:
            self._save()
            self._next_save = self._clock.monotonic() + _SAVE_EVERY_S

    def _save(self) -> None:
        changed = self._ledger.take_changed()
        self._state = self._insist(lambda: self._book.save(self._job.replay_id, changed))
        if changed:
            self._faults.passing(REPLAY_SAVED)
        self._show(Seen(self._ledger.progress(), self._state, self._limiter.waits_for))

    def _finish(self) -> str:
        """Wait for the last acknowledgements, save, and say that all is published, if it is."""
        while self._ledger.waiting():
            self._tend()
            self._publisher.flush(_WAIT_S)
        self._save()
        if self._state != CANCELLED and not self._ledger.left():
            self._insist(lambda: self._book.turn(self._job.replay_id, PUBLISHED, self._clock.now()))
            self._state = self._insist(lambda: self._book.save(self._job.replay_id, []))
        return self._state

    def _insist(self, act: Callable[[], Done]) -> Done:
        """Do something until no outage stands in its way."""
        backoff = Backoff()
        while True:
            try:
                return act()
            except OutageError as outage:
                if self._stop.is_set():
                    raise
                _log.warning("replay waits", replay_id=self._job.replay_id, reason=str(outage))
                self._clock.wait(self._stop, backoff.next_delay_s())
