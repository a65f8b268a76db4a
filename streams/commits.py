"""Committing: explicit offsets, asynchronously while running, every answer checked."""

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import SetupError
from sightline.runtime import metrics
from sightline.runtime.kafka import map_kafka_error
from sightline.runtime.log import get_logger
from streams.tracker import Tracker

_log = get_logger(__name__)


class Committer:
    """Commits the lowest unfinished offset of each partition held. Used from the polling thread."""

    def __init__(self, group: str, tracker: Tracker) -> None:
        self._group = group
        self._tracker = tracker
        self.problem: SetupError | None = None  # a right that we lack, until a commit succeeds

    def commit(self, consumer: Consumer) -> None:
        """Hand new offsets to the broker without waiting; `on_commit` hears the answer."""
        offsets = self._take_offsets()
        if not offsets:
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)

    def commit_now(self, consumer: Consumer) -> None:
        """Commit new offsets and wait for the broker's answer; a failure is left to redelivery."""
        offsets = self._take_offsets()
        if not offsets:
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)

    def commit_again(self) -> None:
        """Have the next commit name every partition once more, also those with nothing new."""
        with self._tracker.changed:
            for tracked in self._tracker.held():
                tracked.mark_committed(None)

    def on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Check a commit; what failed is tried again with the next one. The consumer's `on_commit`."""
        failed = [
            (offset, error or offset.error) for offset in offsets if error is not None or offset.error is not None
        ]
        if not failed:
            self.problem = None
        for offset, reason in failed:
            tracked = self._tracker.get(offset.topic, offset.partition)
            if tracked is not None:
                tracked.mark_committed(None)
            code = "" if reason is None else reason.name()
            if reason is not None and isinstance(outage := map_kafka_error(reason), SetupError):
                self.problem = outage
            metrics.COMMIT_ERRORS.labels(self._group, code).inc()
            _log.warning("commit failed, will be tried again", group=self._group, code=code)

    def _take_offsets(self) -> list[TopicPartition]:
        offsets = []
        with self._tracker.changed:
            for tracked in self._tracker.held():
                offset = tracked.committable()
                if offset is not None:
                    offsets.append(TopicPartition(tracked.topic, tracked.partition, offset))
                    tracked.mark_committed(offset)
        return offsets
