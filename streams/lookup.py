"""Asking the broker whether topics are there."""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException

from sightline.runtime.kafka import map_kafka_error

_TIMEOUT_S: Final = 1.0


def missing_topics(consumer: Consumer, topics: Sequence[str]) -> str | None:
    """Say which of `topics` are missing, or why nobody can tell; None when all are there. Blocks for a second."""
    try:
        known = consumer.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        return str(map_kafka_error(error.args[0]))
    missing = [topic for topic in topics if topic not in known or known[topic].error is not None]
    return f"no topic {', '.join(missing)}" if missing else None
