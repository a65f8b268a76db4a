"""Which replays are cancelled, read without a group: to the topic's end before the first frame, then followed."""

import threading
from typing import Final

from pydantic import ValidationError

from schemas import topics
from schemas.errors import OutageError
from schemas.replay import ReplayState
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.kafka import SERVICE
from sightline.runtime.log import get_logger
from sightline.runtime.pulse import Pulse
from sightline.runtime.settings import KafkaSettings
from streams.follow import at_end, beginnings, reader_of

_log = get_logger(__name__)
_POLL_S: Final = 0.2
_RECORDS: Final = 100
_JOIN_S: Final = 2.0


class Cancellations:
    """Follows the topic `replays.<pipeline>` in a thread of its own; outages and a missing topic are waited out."""

    def __init__(self, settings: KafkaSettings, pipeline: str, clock: Clock) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._topic = topics.replays(pipeline)
        self._clock = clock
        self._backoff = Backoff()
        self._cancelled: set[str] = set()
        self._trouble: OutageError | None = None
        self._failure: BaseException | None = None
        self._pulse = Pulse(f"the reader of {self._topic}", clock)
        self._read = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"replays-{pipeline}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End; blocks for two seconds at most."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    def check(self) -> None:
        """Raise OutageError while the topic is not read to its end: a cancelled replay must not go on. Never blocks."""
        if not self._read.is_set():
            raise self._trouble or OutageError(SERVICE, f"{self._topic} is not read to its end yet")

    def cancelled(self, replay_id: str) -> bool:
        """Tell whether a replay is cancelled, as far as is known. Never blocks."""
        return replay_id in self._cancelled

    def problem(self) -> None:
        """Say nothing: live work needs none of this. `check` tells who does."""

    def stalled(self) -> str | None:
        """Say that nothing is read any more, and why, or None."""
        return self._pulse.stopped()

    def failure(self) -> BaseException | None:
        """Return what ended the reader's thread, if anything did."""
        return self._failure

    def apply(self, value: bytes | None) -> None:
        """Take in one message; what cannot be read is logged and left out."""
        try:
            state = ReplayState.model_validate_json(value or b"")
        except ValidationError as invalid:
            _log.error("replay state cannot be read", topic=self._topic, fields=invalid.error_count())
            return
        if state.pipeline == self._pipeline:
            # A new set: a work thread may be looking at the old one.
            self._cancelled = self._cancelled | {state.replay_id}

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._follow()
                except OutageError as outage:
                    self._trouble = outage
                    _log.warning("replay states wait", pipeline=self._pipeline, reason=str(outage))
                    self._clock.wait(self._stop, self._backoff.next_delay_s())
        except BaseException as failure:
            # A dead reader would let cancelled replays go on: whoever runs the process looks here.
            self._failure = failure
            raise

    def _follow(self) -> None:
        with reader_of(self._settings, self._pulse) as consumer:
            places = beginnings(consumer, self._topic)
            consumer.assign(places)
            unfinished = {place.partition for place in places}
            while not self._stop.is_set():
                for message in consumer.consume(_RECORDS, _POLL_S):
                    if at_end(message):
                        unfinished.discard(message.partition() or 0)
                    elif message.value() is not None:
                        self.apply(message.value())
                if not unfinished:
                    self._trouble = None
                    self._backoff.reset()
                    self._read.set()
