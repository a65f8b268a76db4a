"""The demo's cameras: one thread that publishes for all of them, never more than the embedded broker holds."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from schemas import topics
from schemas.encoding import format_time
from schemas.errors import InputError, SightlineError
from schemas.frame import Origin, frame_headers, parse_frame
from schemas.message import Message
from sightline.demo.sample import CAMERAS, Sample
from sightline.demo.tally import SentFrame, Tally
from sightline.runtime.settings import KafkaSettings
from streams.publish import FramePublisher

# The embedded broker keeps the newest 5 MB of a partition; all of this may lie in one.
IN_FLIGHT_BYTES = 4_000_000
_BROKER_TIMEOUT_S = 15.0
_LOOK_AGAIN_S = 0.02
# After a wait for room the rate is made up for, but not as a flood.
_CATCH_UP_S = 0.5


class Camera:
    """Publishes `samples` from `start` to `stop`, `rate` frames a second, slower when answers or sinks are slow.

    `stored` says how many records the slowest sink has stored. `failure` is what ended the thread early.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        pipeline: str,
        samples: Iterator[Sample],
        tally: Tally,
        *,
        rate: float,
        stored: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._samples = samples
        self._tally = tally
        self._rate = rate
        self._stored = stored
        self._run = format_time(datetime.now(UTC))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish_all, name="camera", daemon=True)
        self.failure: SightlineError | None = None

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until all that was published is acknowledged."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _publish_all(self) -> None:
        try:
            with closing(FramePublisher(self._settings, timeout_s=_BROKER_TIMEOUT_S)) as publisher:
                due = time.monotonic()
                for number in itertools.count():
                    self._wait_for_room(publisher)
                    if self._stop.is_set():
                        break
                    self._publish(publisher, number)
                    due = max(due + 1 / self._rate, time.monotonic() - _CATCH_UP_S)
                    self._wait(publisher, due - time.monotonic())
                publisher.flush()
        except SightlineError as error:
            self.failure = error

    def _publish(self, publisher: FramePublisher, number: int) -> None:
        sample = next(self._samples)
        source, now = CAMERAS[number % len(CAMERAS)], datetime.now(UTC)
        # The picture's name serves people who look at rows; run and number make every frame one of its own.
        event_id = f"{self._run}/{number}/{sample.name}"
        headers = frame_headers(event_id=event_id, source=source, media_type=sample.media_type, captured_at=now)
        message = Message(topics.frames(self._pipeline), source.encode(), sample.value, sample.alter(headers))
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

    def _wait_for_room(self, publisher: FramePublisher) -> None:
        while not self._stop.is_set() and (
            self._tally.unanswered_bytes() > IN_FLIGHT_BYTES
            or self._tally.unstored_bytes(self._stored()) > IN_FLIGHT_BYTES
        ):
            self._wait(publisher, _LOOK_AGAIN_S)

    def _wait(self, publisher: FramePublisher, wait_s: float) -> None:
        """Wait and take acknowledgements; end early when the camera is stopped."""
        until = time.monotonic() + wait_s
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            publisher.poll(min(left, 0.05))
            self._stop.wait(min(max(until - time.monotonic(), 0.0), 0.01))


def _frame_id(message: Message, origin: Origin, sent_at: datetime) -> str | None:
    """Return the id that the frame must get by the contract, or None when no frame can be made of it."""
    try:
        return parse_frame(message.value, message.headers, origin, round(sent_at.timestamp() * 1000)).frame_id
    except InputError:
        return None
