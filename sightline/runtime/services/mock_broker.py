"""librdkafka's mock cluster as a process: `python -m sightline.runtime.services.mock_broker TOPIC…`.

Real Kafka protocol over TCP, in memory. Each topic has 4 partitions, and each partition keeps only its newest 5 MB:
whoever publishes keeps what is in flight below that.
"""

import sys
import time
from collections.abc import Sequence

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from schemas.errors import OutageError
from sightline.runtime.services.lifeline import hold_open

_TIMEOUT_S = 10.0


def main(topics: Sequence[str]) -> None:
    """Run the cluster with these topics until the parent is gone."""
    # The cluster lives inside this client, which needs some address of its own and never uses it.
    cluster = AdminClient({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=_TIMEOUT_S).brokers.values()
    bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    _create(bootstrap, topics)
    hold_open(bootstrap)


def _create(bootstrap: str, topics: Sequence[str]) -> None:
    """Make topics: the mock refuses to create one, but has it after a producer has asked about it."""
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + _TIMEOUT_S
    for topic in topics:
        while not producer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions:
            if time.monotonic() > deadline:
                raise OutageError("kafka", f"the mock cluster does not make the topic {topic}")


if __name__ == "__main__":
    main(sys.argv[1:])
