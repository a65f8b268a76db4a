"""Which models are in force, read without a group: every worker reads each role's topic to its end, then follows it.

Nothing is committed. The newest message of a role is the whole state, so that what came before it is not handed on.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import Message as KafkaMessage
from pydantic import ValidationError

from schemas import topics
from schemas.activation import Activation
from schemas.errors import InputError, OutageError, SetupError
from schemas.frame import Origin
from schemas.message import activation_message
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.kafka import SERVICE
from sightline.runtime.log import get_logger
from sightline.runtime.pulse import Pulse
from sightline.runtime.settings import KafkaSettings
from streams.follow import at_end, beginnings, reader_of
from streams.publish import FramePublisher
from streams.read import Edge, read_to_end

_log = get_logger(__name__)
_POLL_S: Final = 0.2
_RECORDS: Final = 100
_JOIN_S: Final = 2.0

# Called from the reader's own thread with a role and its newest state.
OnActivation = Callable[[str, Activation], None]


class ActivationReader:
    """Follows the topics of a pipeline's roles in a thread of its own; outages and missing topics are waited out."""

    def __init__(
        self, settings: KafkaSettings, pipeline: str, roles: Sequence[str], on_activation: OnActivation, clock: Clock
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._roles = {topics.activations(pipeline, role): role for role in roles}
        self._on_activation = on_activation
        self._clock = clock
        self._backoff = Backoff()
        self._current: dict[str, Activation] = {}
        self._unread = set(roles)
        self._trouble: str | None = None
        self._failure: BaseException | None = None
        self._pulse = Pulse(f"the reader of {pipeline}'s activations", clock)
        self._read = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"activations-{pipeline}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End; blocks for two seconds at most."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    def wait_read(self, timeout_s: float) -> bool:
        """Block until every topic was read to its end or the time is over; return whether it was."""
        return self._read.wait(timeout_s)

    def current(self, role: str) -> Activation | None:
        """Return a role's newest state; None while none was read, or where there is none."""
        return self._current.get(role)

    def problem(self) -> str | None:
        """Say why not every topic has been read to its end, or None. A later outage leaves what was read in force."""
        if self._failure is not None:
            return f"activations: {type(self._failure).__name__}"
        if self._read.is_set():
            return None
        return self._trouble or f"the activations of {', '.join(sorted(self._unread))} are not read yet"

    def stalled(self) -> str | None:
        """Say that nothing is read any more, and why, or None."""
        return self._pulse.stopped()

    def failure(self) -> BaseException | None:
        """Return what ended the reader's thread, if anything did."""
        return self._failure

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._follow()
                except OutageError as outage:
                    self._wait(outage)
        except BaseException as failure:
            # A dead reader would keep old models for ever: whoever runs the process looks here.
            self._failure = failure
            raise

    def _wait(self, outage: OutageError) -> None:
        self._trouble = str(outage)
        _log.warning("activations wait", pipeline=self._pipeline, reason=str(outage))
        self._clock.wait(self._stop, self._backoff.next_delay_s())

    def _follow(self) -> None:
        """Read every topic from its beginning, and on until `stop`. Raises OutageError, after which all begins anew."""
        with reader_of(self._settings, self._pulse) as consumer:
            places = [place for topic in self._roles for place in beginnings(consumer, topic)]
            consumer.assign(places)
            unfinished = {(place.topic, place.partition) for place in places}
            newest: dict[str, Activation] = {}
            while not self._stop.is_set():
                for message in consumer.consume(_RECORDS, _POLL_S):
                    ended = at_end(message)
                    topic, partition = message.topic() or "", message.partition() or 0
                    role = self._roles[topic]
                    if ended:
                        unfinished.discard((topic, partition))
                    elif (activation := self._parse(message, role)) is not None:
                        newest[role] = activation
                    if all(topic != other for other, _ in unfinished):
                        self._reached_end(role, newest.pop(role, None))

    def _reached_end(self, role: str, activation: Activation | None) -> None:
        if activation is not None and activation != self._current.get(role):
            self._current[role] = activation
            self._on_activation(role, activation)
        if role in self._unread:
            # Handed over before it counts as read: who waits for the one relies on the other.
            self._unread.discard(role)
            self._trouble = None
            self._backoff.reset()
        if not self._unread:
            self._read.set()

    def _parse(self, message: KafkaMessage, role: str) -> Activation | None:
        """Read one message, or count it and return None."""
        activation = _parse(message.value(), message.offset(), self._pipeline, role)
        if activation is None:
            metrics.ACTIVATIONS_MALFORMED.labels(self._pipeline, role).inc()
        return activation


def read_activation(settings: KafkaSettings, pipeline: str, role: str, *, timeout_s: float) -> Activation | None:
    """Return a role's newest state, or None where there is none; blocks.

    Raises OutageError, and ConfigurationError when there is no such topic.
    """
    newest = None
    for record in read_to_end(settings, topics.activations(pipeline, role), Edge.BEGINNING, timeout_s=timeout_s):
        newest = _parse(record.value, record.offset, pipeline, role) or newest
    return newest


def publish_activation(settings: KafkaSettings, activation: Activation, *, timeout_s: float) -> Origin:
    """Publish a state and return where it lies; blocks until it is acknowledged.

    Raises OutageError; the state may come into force all the same where the acknowledgement alone was lost.
    """
    delivered: list[Origin | InputError] = []
    publisher = FramePublisher(settings, timeout_s=timeout_s)
    try:
        publisher.publish(activation_message(activation), delivered.append)
        publisher.flush()
    finally:
        publisher.close()
    (answer,) = delivered
    if isinstance(answer, InputError):
        raise SetupError(SERVICE, answer.reason)
    return answer


def _parse(value: bytes | None, offset: int | None, pipeline: str, role: str) -> Activation | None:
    """Read a state of one role; log what cannot be read and return None."""
    try:
        activation = Activation.model_validate_json(value or b"")
    except ValidationError as invalid:
        reason = f"{invalid.error_count()} fields are wrong"
    else:
        if (activation.pipeline, activation.role) == (pipeline, role):
            return activation
        reason = "it is of another pipeline or role"
    _log.error("activation cannot be read", pipeline=pipeline, role=role, offset=offset, reason=reason)
    return None
