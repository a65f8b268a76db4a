"""Sending dead letters on, in transactions that nobody else can continue."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from schemas import topics
from schemas.errors import OutageError, SightlineError
from schemas.frame import Origin
from schemas.message import Message
from sightline.runtime.kafka import SERVICE, is_fatal, is_refused, make_transactional_producer, map_kafka_error
from sightline.runtime.settings import KafkaSettings

# While a transaction is open, workers stand still before it: it is closed in milliseconds, and when we are killed
# in it, by the broker after this time or by the next redrive's `fence`.
TRANSACTION_S = 10.0
_POLL_S = 0.1
_TRIES = 3
_PURGED = {
    KafkaError._PURGE_QUEUE,  # noqa: SLF001 -- this is how the library names its client-side codes
    KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
}


class RefusedError(SightlineError):
    """The broker refuses some of the messages for what they are: why, by their place in the batch."""

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__(f"the broker refuses {len(reasons)} messages")
        self.reasons = reasons


class Sender:
    """The one producer that may redrive dead letters of a pipeline. Used by one thread.

    All methods block, for at most `timeout_s` or TRANSACTION_S, and raise OutageError.
    """

    def __init__(self, settings: KafkaSettings, pipeline: str, timeout_s: float) -> None:
        self._pipeline = pipeline
        self._timeout_s = timeout_s
        name = topics.group("redrive", pipeline)
        self._producer = make_transactional_producer(settings, name, TRANSACTION_S)
        self._open = False

    def fence(self) -> None:
        """Abort what an earlier redrive left open, and shut out its process if it still runs.

        When this returns, every record that any earlier redrive of this pipeline has sent is either visible to
        readers of committed records, or never will be.
        """
        self._call(self._producer.init_transactions, self._timeout_s)

    def send(self, messages: Sequence[Message]) -> list[Origin]:
        """Send all in a new transaction, wait for the broker to have them, and return where each lies.

        The transaction stays open; only when this raises it is aborted. Raises RefusedError.
        """
        for _ in range(_TRIES):
            places, failures = self._transmit(messages)
            if len(places) == len(messages):
                return [places[index] for index in range(len(messages))]
            # What follows a refused record on its partition is out of sequence, and is thrown away with a transaction.
            if not all(error.code() in _PURGED for error in failures.values()):
                break
        raise self._failure(failures)

    def _transmit(self, messages: Sequence[Message]) -> tuple[dict[int, Origin], dict[int, KafkaError]]:
        """Return where each lies, or why not; unless all were sent, the transaction is aborted."""
        places: dict[int, Origin] = {}
        failures: dict[int, KafkaError] = {}
        self._call(lambda _: self._producer.begin_transaction(), TRANSACTION_S)
        self._open = True
        try:
            for index, message in enumerate(messages):
                self._produce(index, message, places, failures)
            left = self._producer.flush(TRANSACTION_S)
        except BaseException:
            self.abort()
            raise
        if left:
            self.abort()
            raise OutageError(SERVICE, "no acknowledgement in time")
        if failures:
            self.abort()
        return places, failures

    def commit(self) -> None:
        """Make what was sent visible, all at once. When this raises, it may be visible or not."""
        self._open = False  # what was begun to be committed must not be aborted
        try:
            self._call(self._producer.commit_transaction, TRANSACTION_S)
        except OutageError as outage:
            cause = outage.__cause__
            if isinstance(cause, KafkaException) and cause.args[0].txn_requires_abort():
                self.abort()
            raise

    def abort(self) -> None:
        """Take back what was sent. A broker that is away does so by itself in time."""
        self._open = False
        self._call(self._producer.abort_transaction, TRANSACTION_S)

    def close(self) -> None:
        """Take back what was sent and not committed: readers need not wait for the broker to do so."""
        if self._open:
            with suppress(OutageError):
                self.abort()
        # A producer that was shut out refuses even this.
        with suppress(KafkaException):
            self._producer.purge()
            self._producer.flush(1.0)

    def _produce(
        self, index: int, message: Message, places: dict[int, Origin], failures: dict[int, KafkaError]
    ) -> None:
        def on_delivery(error: KafkaError | None, record: KafkaMessage) -> None:
            if error is None:
                places[index] = Origin(record.topic() or "", record.partition() or 0, record.offset() or 0)
            else:
                failures[index] = error

        while True:
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, headers=list(message.headers), on_delivery=on_delivery
                )
            except BufferError:
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                failures[index] = error.args[0]
                return
            else:
                return

    def _failure(self, failures: dict[int, KafkaError]) -> SightlineError:
        refused = {index: error.name() for index, error in failures.items() if is_refused(error)}
        if refused:
            return RefusedError(refused)
        return self._mapped(next(iter(failures.values())))

    def _call(self, call: Callable[[float], None], timeout_s: float) -> None:
        """Call until it is done or the time is over: what is retriable goes on where it stopped."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                call(max(deadline - time.monotonic(), _POLL_S))
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise self._mapped(error.args[0]) from error
            else:
                return

    def _mapped(self, error: KafkaError) -> OutageError:
        if is_fatal(error) or error.code() == KafkaError._FENCED:  # noqa: SLF001 -- the library's name for it
            return OutageError(
                SERVICE,
                f"another redrive of {self._pipeline} has taken over, or this one was too slow ({error.name()})",
            )
        return map_kafka_error(error)
