"""Publishing frames: one way for the command line and the gateway.

Pictures over the inline limit go to the object store, and the message points there (claim check).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from schemas import topics
from schemas.errors import Code, ConfigurationError, InputError, OutageError, Stage
from schemas.frame import INLINE_LIMIT_BYTES, Origin, frame_headers
from schemas.identity import sha256_hex
from schemas.message import Message
from sightline.runtime.kafka import SERVICE, is_refused, make_producer, map_kafka_error
from sightline.runtime.objectstore import ObjectStore
from sightline.runtime.settings import KafkaSettings
from streams.claims import CLAIMS_PREFIX

_POLL_S = 0.1
# At the end of a run that failed: what is still queued is dropped, so this only lets callbacks go by.
_PURGE_S = 1.0


@dataclass(frozen=True, slots=True)
class NewFrame:
    """A frame to publish. Without `captured_at` the broker's append time counts. Extensions are without `ce_`."""

    pipeline: str
    event_id: str
    source: str
    media_type: str
    data: bytes
    captured_at: datetime | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)


# Where the broker put it, or why the frame alone could not be delivered.
OnDelivered = Callable[[Origin | InputError], None]


def claim_key(data: bytes) -> str:
    """Return the object key of a claimed picture: the same bytes lie there once."""
    return f"{CLAIMS_PREFIX}{sha256_hex(data)}"


def frame_message(frame: NewFrame, store: ObjectStore | None) -> Message:
    """Build the message of a frame, keyed by its source; writes a large picture to `store` first (may block).

    Raises InputError (`value_empty`, `inline_too_large` without a store), OutageError when the store is away.
    """
    if not frame.data:
        raise InputError(Code.VALUE_EMPTY, Stage.FRAME, "there are no bytes to publish")
    extensions = dict(frame.extensions)
    value: bytes | None = frame.data
    if len(frame.data) > INLINE_LIMIT_BYTES:
        extensions["dataref"] = _claim(frame, store)
        value = None
    headers = frame_headers(
        event_id=frame.event_id,
        source=frame.source,
        media_type=frame.media_type,
        captured_at=frame.captured_at,
        extensions=extensions,
    )
    return Message(topics.frames(frame.pipeline), frame.source.encode(), value, headers)


def _claim(frame: NewFrame, store: ObjectStore | None) -> str:
    if store is None:
        reason = f"{len(frame.data)} bytes are over the inline limit, and SIGHTLINE_OBJECTS_URL is not set"
        raise InputError(Code.INLINE_TOO_LARGE, Stage.FRAME, reason)
    key = claim_key(frame.data)
    store.put(key, frame.data, frame.media_type)
    return store.address(key)


class FramePublisher:
    """Publishes frames and checks every delivery. Used by one thread; memory is bounded by the producer's queue.

    A broker that acknowledges nothing for `timeout_s` while something waits counts as away.
    """

    def __init__(self, settings: KafkaSettings, *, timeout_s: float) -> None:
        self._producer = make_producer(settings)
        self._timeout_s = timeout_s
        self._waiting = 0
        self._problem: OutageError | None = None
        self._last_progress = time.monotonic()

    def check_topic(self, pipeline: str) -> None:
        """Raise OutageError when the broker cannot be reached, ConfigurationError when the topic is missing."""
        topic = topics.frames(pipeline)
        try:
            described = self._producer.list_topics(topic, timeout=self._timeout_s).topics[topic]
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
        if described.error is not None:
            raise ConfigurationError(topic, f"there is no such topic; `sightline topics apply {pipeline}` makes it")

    def publish(self, message: Message, on_delivered: OnDelivered) -> None:
        """Hand over a message; blocks while the queue is full. `on_delivered` is called from a later call of ours.

        Raises OutageError when nothing moves for the time allowed.
        """
        if not self._waiting:
            self._last_progress = time.monotonic()
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    message.value,
                    message.key,
                    headers=list(message.headers),
                    on_delivery=lambda error, record: self._delivered(error, record, on_delivered),
                )
            except BufferError:
                self.poll(_POLL_S)
            except KafkaException as error:
                if not is_refused(error.args[0]):
                    raise map_kafka_error(error.args[0]) from error
                on_delivered(_refused(error.args[0]))
                return
            else:
                self._waiting += 1
                self.poll(0)
                return

    def poll(self, wait_s: float) -> None:
        """Take acknowledgements for up to `wait_s`. Raises OutageError as `publish`."""
        self._producer.poll(wait_s)
        if self._problem is not None:
            raise self._problem
        if self._waiting and time.monotonic() - self._last_progress > self._timeout_s:
            raise OutageError(SERVICE, f"no acknowledgement for {self._timeout_s:.0f} s")

    def flush(self) -> None:
        """Block until every message is delivered or refused. Raises OutageError as `publish`."""
        while self._waiting:
            self.poll(_POLL_S)

    def close(self) -> None:
        """Drop what is not delivered yet."""
        self._producer.purge()
        self._producer.flush(_PURGE_S)

    def _delivered(self, error: KafkaError | None, record: KafkaMessage, on_delivered: OnDelivered) -> None:
        self._waiting -= 1
        self._last_progress = time.monotonic()
        if error is None:
            on_delivered(Origin(record.topic() or "", record.partition() or 0, record.offset() or 0))
        elif is_refused(error):
            on_delivered(_refused(error))
        else:
            # The producer waits out what passes by itself: this is about the topic or our rights, not this message.
            self._problem = map_kafka_error(error)


def _refused(error: KafkaError) -> InputError:
    return InputError(Code.RECORD_INVALID, Stage.FRAME, f"the broker refuses it: {error.name()}")
