"""Publishing with every acknowledgement checked, and failed deliveries sent again until they succeed.

librdkafka retries by itself for `message.timeout.ms`; what it gives up on comes back here and is handed to it
again after a back-off, so that an outage may last longer than that. Only a message that the broker refuses
for what it is goes back to its owner.
"""

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from schemas.errors import OutageError, SetupError
from schemas.message import Message
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.kafka import SERVICE, is_refused, make_producer, map_kafka_error
from sightline.runtime.log import get_logger
from sightline.runtime.pulse import Pulse
from sightline.runtime.settings import KafkaSettings

_log = get_logger(__name__)
_POLL_S = 0.1
# An acknowledgement that takes longer than this says that publishing is not possible at present.
_SLOW_S = 10.0

# Called with a message that the broker refuses for what it is; returns what to publish in its place.
OnRefused = Callable[[Message], Message]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish, and what to publish in its place when the broker refuses it for what it is."""

    message: Message
    on_refused: OnRefused | None = None


@dataclass(slots=True)
class _Group:
    """Messages that count as done together."""

    on_done: Callable[[], None]
    left: int


@dataclass(slots=True)
class _Delivery:
    """One message on its way."""

    message: Message
    on_refused: OnRefused | None
    group: _Group
    since: float
    backoff: Backoff = field(default_factory=Backoff)


class Publishes(Protocol):
    """What takes messages to publish, at once or later."""

    def publish(self, messages: Sequence[Outgoing], on_done: Callable[[], None]) -> None:
        """Hand over `messages`; `on_done` is called once the broker has all of them."""
        ...


class Publisher:
    """One producer, with a thread that takes its acknowledgements. Safe to use from several threads."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._pulse = Pulse("the producer", clock)
        self._pulse.begin()
        self._producer = make_producer(settings, on_statistics=self._pulse.beat)
        self._clock = clock
        self._lock = threading.Condition()
        self._waiting: dict[int, _Delivery] = {}
        self._retries: list[tuple[float, int, _Delivery]] = []
        self._numbers = itertools.count()
        self._problem: OutageError | None = None
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def publish(self, messages: Sequence[Outgoing], on_done: Callable[[], None]) -> None:
        """Hand over `messages`; `on_done` is called from another thread once all are acknowledged.

        May block while the producer's queue is full, but not for a client that has `stalled`. A message that the broker
        refuses for what it is waits, as wrongly set up topics do, unless its `on_refused` has another one in its place.
        """
        if not messages:
            on_done()
            return
        group = _Group(on_done, len(messages))
        for outgoing in messages:
            delivery = _Delivery(outgoing.message, outgoing.on_refused, group, self._clock.monotonic())
            number = next(self._numbers)
            with self._lock:
                self._waiting[number] = delivery
            self._produce(number, delivery)

    def flush(self, timeout_s: float) -> bool:
        """Block until everything is acknowledged or the time is over; return whether it is."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._waiting, timeout_s)

    def problem(self) -> str | None:
        """Say why publishing is not possible at present, or None."""
        with self._lock:
            if self._failure is not None:
                return f"publisher: {type(self._failure).__name__}"
            if self._problem is not None:
                return str(self._problem)
            oldest = next(iter(self._waiting.values()), None)
        slow = oldest is not None and self._clock.monotonic() - oldest.since > _SLOW_S
        return f"kafka: no acknowledgement for {_SLOW_S:.0f} s" if slow else None

    def stalled(self) -> str | None:
        """Say that nothing is acknowledged any more, and why, or None."""
        return self._pulse.stopped()

    def failure(self) -> BaseException | None:
        """Return what ended the publisher's thread, if anything did: the process cannot go on."""
        return self._failure

    def close(self, timeout_s: float) -> bool:
        """Flush, then stop the thread; return whether everything was acknowledged."""
        done = self.flush(timeout_s)
        self._stop.set()
        self._thread.join()
        self._producer.purge(in_queue=True, in_flight=True)
        self._producer.flush(0)
        return done

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._producer.poll(_POLL_S)
                self._send_due()
                metrics.PUBLISH_WAITING.set(len(self._waiting))
        except BaseException as failure:
            # A dead publisher would look like an outage for ever: the main loop raises this instead.
            self._failure = failure
            raise

    def _send_due(self) -> None:
        now = self._clock.monotonic()
        while self._retries and self._retries[0][0] <= now:
            _, number, delivery = heapq.heappop(self._retries)
            self._produce(number, delivery)

    def _produce(self, number: int, delivery: _Delivery) -> None:
        message = delivery.message

        def on_delivery(error: KafkaError | None, _: KafkaMessage) -> None:
            self._delivered(number, delivery, error)

        while True:
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, on_delivery=on_delivery, headers=list(message.headers)
                )
            except BufferError:
                # The queue is full of messages on their way: wait until some are acknowledged.
                if not self._wait_for_room():
                    self._schedule(number, delivery)
                    return
            except KafkaException as error:
                self._delivered(number, delivery, error.args[0])
                return
            else:
                return

    def _wait_for_room(self) -> bool:
        """Wait a moment; return False where nobody should wait on: at the end, or for a client of no use."""
        if threading.current_thread() is self._thread:
            self._producer.poll(_POLL_S)
            return not self._stop.is_set()
        with self._lock:
            self._lock.wait(_POLL_S)
        return self._pulse.stopped() is None

    def _delivered(self, number: int, delivery: _Delivery, error: KafkaError | None) -> None:
        if error is None:
            self._acknowledged(number, delivery)
        elif is_refused(error):
            self._refused(number, delivery, error)
        else:
            self._retry(number, delivery, error)

    def _acknowledged(self, number: int, delivery: _Delivery) -> None:
        metrics.MESSAGES_PUBLISHED.labels(delivery.message.topic).inc()
        with self._lock:
            self._waiting.pop(number, None)
            self._problem = None
            delivery.group.left -= 1
            done = delivery.group.left == 0
        if done:
            delivery.group.on_done()
        with self._lock:
            self._lock.notify_all()

    def _refused(self, number: int, delivery: _Delivery, error: KafkaError) -> None:
        on_refused = delivery.on_refused
        _log.warning("message refused", topic=delivery.message.topic, code=error.name())
        try:
            if on_refused is None:
                raise SetupError(SERVICE, f"{delivery.message.topic} refuses a message: {error.name()}")
            delivery.message = on_refused(delivery.message)
        except OutageError as outage:
            # The message will be refused once more, and its owner asked again, after the back-off.
            with self._lock:
                self._problem = outage
        finally:
            self._pulse.begin()  # its owner may have taken long, and nobody polled
        self._schedule(number, delivery)

    def _retry(self, number: int, delivery: _Delivery, error: KafkaError) -> None:
        topic = delivery.message.topic
        metrics.PUBLISH_RETRIES.labels(topic, error.name()).inc()
        _log.warning(
            "delivery failed, will be tried again", topic=topic, code=error.name(), tries=delivery.backoff.tries
        )
        with self._lock:
            self._problem = map_kafka_error(error)
        self._schedule(number, delivery)

    def _schedule(self, number: int, delivery: _Delivery) -> None:
        due = self._clock.monotonic() + delivery.backoff.next_delay_s()
        with self._lock:
            heapq.heappush(self._retries, (due, number, delivery))
