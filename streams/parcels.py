"""Handing parcels to a producer within a transaction, until the broker has them all."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from schemas.errors import OutageError, SetupError
from sightline.runtime import metrics
from sightline.runtime.kafka import SERVICE, is_refused, map_kafka_error
from streams.outbox import Parcel
from streams.patience import GivenBackError
from streams.publisher import Outgoing

_POLL_S: Final = 0.1
# What the client says of messages because of what befell others.
_GIVEN_UP: Final = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001 -- the library's names


class ReplacedError(Exception):
    """The broker refused messages for what they are, and others stand in their place: once more."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that the broker did not take: which one of its parcel's, and why."""

    parcel: Parcel
    number: int
    error: KafkaError


def send_parcels(
    producer: Producer, parcels: Sequence[Parcel], held: Callable[[], bool], *, timeout_s: float
) -> list[Failure]:
    """Hand all over and wait until the broker has it; return what it did not take, if anything: then it has nothing.

    Raises GivenBackError as soon as `held` says no, OutageError, and KafkaException for what concerns the whole
    transaction.
    """
    failures: list[Failure] = []

    def fail(parcel: Parcel, number: int, error: KafkaError) -> None:
        failures.append(Failure(parcel, number, error))

    for parcel in parcels:
        for number, outgoing in enumerate(parcel.messages):
            _produce(producer, outgoing, partial(fail, parcel, number), timeout_s)
    # One failure is enough: what else is on its way is given up by the client, and may take its time.
    while producer.flush(_POLL_S) and not failures:
        if not held():
            raise GivenBackError
    telling = [failure for failure in failures if failure.error.code() not in _GIVEN_UP]
    if failures and not telling:
        raise OutageError(SERVICE, "the transaction failed, and is run again")
    return telling


def replace_refused(failures: Sequence[Failure]) -> None:
    """Put others in the place of what was refused, which may take an object store's time.

    Raises ReplacedError when there was any, and OutageError where it was not the message's fault.
    """
    for failure in failures:
        messages = failure.parcel.messages
        messages[failure.number] = _replacement(messages[failure.number], failure.error)
    if failures:
        raise ReplacedError


def _produce(
    producer: Producer, outgoing: Outgoing, on_failure: Callable[[KafkaError], None], timeout_s: float
) -> None:  # fmt: skip
    message = outgoing.message

    def on_delivery(error: KafkaError | None, _: KafkaMessage) -> None:
        if error is not None:
            on_failure(error)

    until = time.monotonic() + timeout_s
    while True:
        try:
            producer.produce(
                message.topic, message.value, message.key, on_delivery=on_delivery, headers=list(message.headers)
            )
        except BufferError:
            if time.monotonic() > until:
                raise OutageError(SERVICE, "the producer's queue stays full") from None
            producer.poll(_POLL_S)
        except KafkaException as error:
            if not is_refused(error.args[0]):
                raise
            on_failure(error.args[0])
            return
        else:
            return


def _replacement(outgoing: Outgoing, error: KafkaError) -> Outgoing:
    """Return what goes in place of a message that was refused. Raises OutageError."""
    topic = outgoing.message.topic
    if not is_refused(error):
        metrics.PUBLISH_RETRIES.labels(topic, error.name()).inc()
        raise map_kafka_error(error)
    if outgoing.on_refused is None:
        raise SetupError(SERVICE, f"{topic} refuses a message: {error.name()}")
    return Outgoing(outgoing.on_refused(outgoing.message), outgoing.on_refused)
