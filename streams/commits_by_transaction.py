"""Committing where offsets go with the messages that they stand for."""

from collections.abc import Sequence

from confluent_kafka import Consumer, TopicPartition

from streams.commits import Committer


class TransactionalCommitter(Committer):
    """While running it commits nothing by itself, but for marks that must be there before work begins.

    What is given up at the end is committed as ever: by then no transaction is open.
    """

    def commit(self, consumer: Consumer) -> None:
        """Leave new offsets to the next transaction: one that is handed over without waiting could overtake it."""

    def due(self) -> list[TopicPartition]:
        """Return the offsets that are new, or whose mark is."""
        watch = self._watch
        with self._tracker.changed:
            return [
                TopicPartition(tracked.topic, tracked.partition, offset)
                for tracked in self._tracker.held()
                if (offset := tracked.safe_offset()) is not None
                and (tracked.committable() is not None or (watch is not None and watch.wants_mark(tracked)))
            ]

    def with_marks(self, offsets: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Return offsets as a transaction commits them, with the marks beside them. Hold `sending` meanwhile."""
        held = [(place, self._tracker.get(place.topic, place.partition)) for place in offsets]
        return [
            self._marked(place.topic, place.partition, place.offset, None if tracked is None else tracked.position)
            for place, tracked in held
        ]

    def committed(self, offsets: Sequence[TopicPartition]) -> None:
        """Note what a transaction has committed, as `with_marks` returned it. Hold `sending` until records finish."""
        with self._tracker.changed:
            for place in offsets:
                tracked = self._tracker.get(place.topic, place.partition)
                if tracked is not None:
                    tracked.mark_committed(place.offset)
        self.on_commit(None, list(offsets))
