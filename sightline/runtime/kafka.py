"""Factories for Kafka clients, and the one place that says what a Kafka error means for us."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from schemas.errors import ConfigurationError, OutageError, SetupError
from sightline.runtime import pulse
from sightline.runtime.settings import KafkaSettings, Scalar

Client = TypeVar("Client")
OnStatistics = Callable[[str], None]
SERVICE = "kafka"
DEAD_LETTER_LIMIT_BYTES = 18 * 1024 * 1024
SESSION_TIMEOUT_MS = 10_000
MAX_POLL_INTERVAL_MS = 300_000
_RESPONSE_ROOM_BYTES = 1024 * 1024

_OURS = (
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "isolation.level",
    "statistics.interval.ms",
)

# What the broker will not take whatever we do about the surroundings: the message itself is at fault.
_REFUSED = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError._INVALID_ARG,  # noqa: SLF001 -- this is how the library names its client-side codes
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
}
_SETUP = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError.POLICY_VIOLATION,
    KafkaError.INVALID_REQUIRED_ACKS,
}


def is_refused(error: KafkaError) -> bool:
    """Tell whether the broker refuses the message itself, so that sending it again cannot help."""
    return error.code() in _REFUSED


def is_fatal(error: KafkaError) -> bool:
    """Tell whether the client is finished: only a new process can go on."""
    return error.fatal() or error.code() in {KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID}  # noqa: SLF001


def map_kafka_error(error: KafkaError) -> OutageError:
    """Say what to wait for. Everything that is not the message's fault is an outage; some are of our own setup."""
    kind = SetupError if error.code() in _SETUP else OutageError
    return kind(SERVICE, f"{error.str()} ({error.name()})")


def make_consumer(
    settings: KafkaSettings,
    group: str,
    *,
    on_commit: Callable[..., None] | None = None,
    on_error: Callable[[KafkaError], None] | None = None,
    on_statistics: OnStatistics | None = None,
) -> Consumer:
    """Build a group consumer that never commits or resets by itself; rebalances are classic and eager.

    `range` with asynchronous commits left the shortest gaps of the assignors measured. `on_statistics`, here and below,
    is called while polling, every few seconds (`sightline.runtime.pulse`).
    """
    _insist_on_safe(settings.properties)
    config = _common(settings) | {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # An offset that is gone is an event to us, never a silent jump.
        "auto.offset.reset": "error",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        # Members hear of a rebalance with their next heartbeat; until then partitions of one that left stand still.
        "heartbeat.interval.ms": 200,
        "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": settings.fetch_bytes // 1024,
        # One fetch may bring a whole dead letter, and must not bring more than the queue may hold.
        "fetch.max.bytes": max(settings.fetch_bytes, DEAD_LETTER_LIMIT_BYTES),
        "max.partition.fetch.bytes": 4 * 1024 * 1024,
        "message.max.bytes": DEAD_LETTER_LIMIT_BYTES,
        "receive.message.max.bytes": max(settings.fetch_bytes, DEAD_LETTER_LIMIT_BYTES) + _RESPONSE_ROOM_BYTES,
        # The end of a partition may lie behind transaction markers, which are offsets without records.
        "enable.partition.eof": True,
        # How soon a partition added later, or a topic that was missing, is seen.
        "topic.metadata.refresh.interval.ms": 10_000,
        "fetch.wait.max.ms": 100,
        # How soon fetching goes on once the queue has room again; by default a full second of doing nothing.
        "fetch.queue.backoff.ms": 10,
    }
    if on_commit is not None:
        config["on_commit"] = on_commit
    if on_error is not None:
        config["error_cb"] = on_error
    return _made(Consumer, config | _for_consumer(settings) | _statistics(on_statistics))


def _insist_on_safe(properties: dict[str, Scalar]) -> None:
    """Refuse what would undo the loop's promises.

    Offsets are committed and reset by the loop alone, and that a client hangs shows in its statistics. Assignors that
    take partitions away one by one are refused, because the loop hands over all of them at once.
    """
    for name in _OURS:
        if name in properties:
            raise ConfigurationError("kafka.properties", f"{name} is not yours to set: the loop relies on it")
    strategy = str(properties.get("partition.assignment.strategy", ""))
    if "cooperative" in strategy:
        raise ConfigurationError("kafka.properties", f"partition.assignment.strategy {strategy!r} is not supported")
    if str(properties.get("group.protocol", "classic")).lower() != "classic":
        raise ConfigurationError("kafka.properties", "group.protocol must be classic")


def make_reader(settings: KafkaSettings, *, on_statistics: OnStatistics | None = None) -> Consumer:
    """Build a consumer for assigned partitions only: it joins no group and leaves no trace."""
    config = _common(settings) | {
        "group.id": "sightline.reader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        # It has none. But one longer than `max.poll.interval.ms` is refused, and by default it is long.
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": settings.fetch_bytes // 1024,
        # By default a queue that is full is left alone for a second, which is several times what it takes to empty it.
        "fetch.queue.backoff.ms": 10,
        "message.max.bytes": DEAD_LETTER_LIMIT_BYTES,
        "fetch.max.bytes": max(settings.fetch_bytes, DEAD_LETTER_LIMIT_BYTES),
        "receive.message.max.bytes": max(settings.fetch_bytes, DEAD_LETTER_LIMIT_BYTES) + _RESPONSE_ROOM_BYTES,
        "fetch.wait.max.ms": 100,
    }
    return _made(Consumer, config | _for_consumer(settings) | _statistics(on_statistics))


def make_producer(settings: KafkaSettings, *, on_statistics: OnStatistics | None = None) -> Producer:
    """Build an idempotent producer that waits out any outage by itself, partitioned as Java clients do."""
    config = _common(settings) | {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "linger.ms": 2,
        "message.timeout.ms": 0,
        "message.max.bytes": DEAD_LETTER_LIMIT_BYTES,
        "queue.buffering.max.kbytes": settings.produce_bytes // 1024,
        "queue.buffering.max.messages": 100_000,
    }
    return _made(Producer, config | _for_producer(settings) | _statistics(on_statistics))


def make_transactional_producer(
    settings: KafkaSettings,
    transactional_id: str,
    timeout_s: float,
    on_error: Callable[[KafkaError], None] | None = None,
) -> Producer:
    """Build a producer for transactions, each of which must end within `timeout_s`.

    The broker aborts one that does not: until then readers of committed records stand still before it. So no setting
    of ours lets a message wait for longer.
    """
    config = _common(settings) | {
        "transactional.id": transactional_id,
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "linger.ms": 2,
        "message.max.bytes": DEAD_LETTER_LIMIT_BYTES,
        "queue.buffering.max.kbytes": settings.produce_bytes // 1024,
    }
    config |= {name: value for name, value in _for_producer(settings).items() if name != "delivery.timeout.ms"}
    limit_ms = round(timeout_s * 1000)
    config |= {"message.timeout.ms": limit_ms, "transaction.timeout.ms": limit_ms}
    if on_error is not None:
        config["error_cb"] = on_error
    return _made(Producer, config)


def make_admin(settings: KafkaSettings) -> AdminClient:
    """Build a client for topics and their settings."""
    return _made(AdminClient, _common(settings) | _for_producer(settings))


def _made(kind: Callable[..., Client], config: dict[str, Any]) -> Client:
    try:
        return kind(config, logger=logging.getLogger("librdkafka"))
    except KafkaException as error:
        raise ConfigurationError("kafka.properties", error.args[0].str()) from error


def _statistics(on_statistics: OnStatistics | None) -> dict[str, Any]:
    if on_statistics is None:
        return {}
    return {"statistics.interval.ms": round(pulse.EVERY_S * 1000), "stats_cb": on_statistics}


def _common(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "sightline",
        "reconnect.backoff.max.ms": 2_000,
        "socket.keepalive.enable": True,
        "log_level": 4,
    }


# What only one kind of client knows: given to the other, each would be a warning at every start.
_CONSUMER_ONLY = (
    "auto.offset.",
    "enable.auto.",
    "enable.partition.eof",
    "fetch.",
    "group.",
    "heartbeat.",
    "isolation.",
    "max.partition.fetch.",
    "max.poll.",
    "partition.assignment.",
    "queued.",
    "session.",
)
_PRODUCER_ONLY = (
    "acks",
    "batch.",
    "compression.",
    "delivery.",
    "enable.idempotence",
    "linger.",
    "message.send.",
    "message.timeout.",
    "partitioner",
    "queue.buffering.",
    "request.required.",
    "retries",
    "sticky.",
    "transaction",
)


def _for_producer(settings: KafkaSettings) -> dict[str, Any]:
    return {name: value for name, value in settings.properties.items() if not name.startswith(_CONSUMER_ONLY)}


def _for_consumer(settings: KafkaSettings) -> dict[str, Any]:
    return {name: value for name, value in settings.properties.items() if not name.startswith(_PRODUCER_ONLY)}
