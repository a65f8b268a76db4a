"""The demo's cameras: one thread that publishes for all of them, never more than the embedded broker holds."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from schemas import topics
from schemas.encoding import format_time
from schemas.errors import InputError
from schemas.frame import Origin, frame_headers, parse_frame
from schemas.message import Message
from sightline.demo.sample import Sample, camera_of
from sightline.demo.tally import Place, SentFrame, Tally
from sightline.runtime.settings import KafkaSettings
from streams.publish import FramePublisher

# The embedded broker keeps the newest 5 MB of a partition; all of this may lie in one.
IN_FLIGHT_BYTES = 4_000_000
_BROKER_TIMEOUT_S = 15.0
_LOOK_AGAIN_S = 0.02
# After a wait for room the rate is made up for, but not as a flood.
_CATCH_UP_S = 0.5


class Camera:
    """Publishes `samples`, `rate` frames a second, slower when answers or sinks are slow. None is an empty turn.

    `stored` says how many records each sink has stored of each pipeline.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        samples: Iterator[Sample | None],
        tally: Tally,
        *,
        rate: float,
        stored: Callable[[], Mapping[Place, int]],
    ) -> None:
        self._settings = settings
        self._samples = samples
        self._tally = tally
        self._rate = rate
        self._stored = stored
        self._turns: Counter[str] = Counter()
        self._run = format_time(datetime.now(UTC))

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop`, then wait until all of it is acknowledged. Raises OutageError."""
        with closing(FramePublisher(self._settings, timeout_s=_BROKER_TIMEOUT_S)) as publisher:
            due = time.monotonic()
            for number in itertools.count():
                self._wait_for_room(publisher, stop)
                if stop.is_set():
                    break
                sample = next(self._samples)
                if sample is not None:
                    self._publish(publisher, sample, number)
                due = max(due + 1 / self._rate, time.monotonic() - _CATCH_UP_S)
                _wait(publisher, due - time.monotonic(), stop)
            publisher.flush()

    def _publish(self, publisher: FramePublisher, sample: Sample, number: int) -> None:
        source, now = camera_of(sample.pipeline, self._turns[sample.pipeline]), datetime.now(UTC)
        self._turns[sample.pipeline] += 1
        # The picture's name serves people who look at rows; run and number make every frame one of its own.
        event_id = f"{self._run}/{number}/{sample.name}"
        headers = frame_headers(event_id=event_id, source=source, media_type=sample.media_type, captured_at=now)
        message = Message(topics.frames(sample.pipeline), source.encode(), sample.value, sample.alter(headers))
        self._tally.handed_over(sample)
        publisher.publish(message, partial(self._delivered, sample, source, now, message))

    def _delivered(
        self, sample: Sample, source: str, sent_at: datetime, message: Message, delivered: Origin | InputError
    ) -> None:
        if isinstance(delivered, InputError):
            self._tally.refused(sample, delivered)
        else:
            frame_id = _frame_id(message, delivered, sent_at)
            self._tally.sent(SentFrame(delivered, sample, source, sent_at, frame_id))

    def _wait_for_room(self, publisher: FramePublisher, stop: threading.Event) -> None:
        while not stop.is_set() and (
            self._tally.unanswered_bytes() > IN_FLIGHT_BYTES
            or self._tally.unstored_bytes(self._stored()) > IN_FLIGHT_BYTES
        ):
            _wait(publisher, _LOOK_AGAIN_S, stop)


def _wait(publisher: FramePublisher, wait_s: float, stop: threading.Event) -> None:
    """Wait and take acknowledgements; end early when the camera is stopped."""
    until = time.monotonic() + wait_s
    while not stop.is_set() and (left := until - time.monotonic()) > 0:
        publisher.poll(min(left, 0.05))
        stop.wait(min(max(until - time.monotonic(), 0.0), 0.01))


def _frame_id(message: Message, origin: Origin, sent_at: datetime) -> str | None:
    """Return the id that the frame must get by the contract, or None when no frame can be made of it."""
    try:
        return parse_frame(message.value, message.headers, origin, round(sent_at.timestamp() * 1000)).frame_id
    except InputError:
        return None
