"""Reading a compacted topic without a group: from its beginning to its end, and on."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from schemas.errors import SetupError
from sightline.runtime.kafka import SERVICE, make_reader, map_kafka_error
from sightline.runtime.pulse import Pulse
from sightline.runtime.settings import KafkaSettings
from streams import read

_ASK_S: Final = 5.0


@contextmanager
def reader_of(settings: KafkaSettings, pulse: Pulse) -> Iterator[Consumer]:
    """Make a reader for as long as the block lasts, and take its pulse meanwhile."""
    pulse.begin()
    try:
        with closing(make_reader(settings, on_statistics=pulse.beat)) as consumer:
            yield consumer
    finally:
        pulse.end()


def beginnings(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """Return the beginnings of a topic's partitions; blocks for five seconds at most.

    Raises SetupError for a topic that is missing, and OutageError.
    """
    try:
        described = consumer.list_topics(topic, timeout=_ASK_S).topics[topic]
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
    if described.error is not None or not described.partitions:
        raise SetupError(SERVICE, f"topic {topic} is missing; `sightline topics apply` makes those of a pipeline")
    return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in described.partitions]


def at_end(message: Message) -> bool:
    """Tell the end of a partition from a record. Raises OutageError for whatever else the client reports."""
    error = message.error()
    if error is None:
        return False
    if read.at_end(message):
        return True
    raise map_kafka_error(error)
