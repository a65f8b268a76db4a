"""`python -m benchmarks.assignors COMMAND…`: the command line, with hand-overs partition by partition.

The worker hands over all of its partitions at once, and refuses settings that would need more. To say what these would
have cost, this runs the same worker with a loop that can: `cooperative-sticky`, and the group protocol of KIP-848.
"""

import sys
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sightline.cli import replay_worker, worker
from sightline.cli.main import exit_code
from sightline.runtime import kafka, metrics
from sightline.runtime.log import get_logger
from streams.handler import Prepared
from streams.loop import Loop

_log = get_logger(__name__)
# What the broker decides in the newer protocol; the library refuses to be told.
_NOT_OURS = ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy")
_GRACE_S = 3.0


class IncrementalLoop(Loop[Prepared]):
    """A loop that keeps working on what it keeps."""

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels(self._group, "assigned").inc()
        _log.info("assigned", group=self._group, partitions=len(partitions))
        for partition in partitions:
            self._tracker.assign(partition.topic, partition.partition)
        places = self._offsets.start(partitions) if partitions else []
        consumer.incremental_assign(places)
        self._committer.begin(consumer, places, self._clock.monotonic())
        consumer.resume(partitions)
        self._joined = True
        self._problem = None

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels(self._group, "revoked").inc()
        held = [
            tracked for place in partitions if (tracked := self._tracker.get(place.topic, place.partition)) is not None
        ]
        gathering = sum(record.partition in {one.partition for one in held} for record in self._gathering)
        with self._tracker.changed:
            self._tracker.changed.wait_for(lambda: sum(one.records for one in held) <= gathering, _GRACE_S)
        self._committer.settle(consumer)
        take = self._committer._take_offset  # noqa: SLF001 -- of these partitions only; the rest go on
        places = [place for one in held if (place := take(one, leaving=True)) is not None]
        try:
            if places:
                consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            self._committer.on_commit(error.args[0], places)
        self._give_up(partitions)
        consumer.incremental_unassign(partitions)


class _Consumer(Consumer):
    def __init__(self, config: dict[str, Any], **others: Any) -> None:
        if config.get("group.protocol") == "consumer":
            config = {name: value for name, value in config.items() if name not in _NOT_OURS}
        super().__init__(config, **others)


def main() -> int:
    """Run a command with another loop; return its exit code."""
    vars(kafka)["_insist_on_safe"] = lambda _: None  # what it refuses is what is measured here
    vars(kafka)["Consumer"] = _Consumer
    for module in (worker, replay_worker):
        vars(module)["Loop"] = IncrementalLoop
    return exit_code(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
