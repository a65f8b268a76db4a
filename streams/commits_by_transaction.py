"""Committing where offsets go with the messages that they stand for."""

from collections.abc import Sequence

from confluent_kafka import Consumer, TopicPartition

from streams.commits import Committer
from streams.tracker import Tracker
from streams.watch import Watch


class TransactionalCommitter(Committer):
    """While running it commits nothing by itself, but for marks that must be there before work begins.

    What is given up at the end is committed as ever: by then no transaction is open.
    """

    def commit(self, consumer: Consumer) -> None:
        """Leave new offsets to the next transaction: one that is handed over without waiting could overtake it."""

    def __init__(self, group: str, tracker: Tracker, watch: Watch | None = None) -> None:
        super().__init__(group, tracker, watch)
        self._transaction_waits = False

    def begin_sending(self) -> None:
        """Wait until no marks are on their way, and keep others back until `sending` is released; for work threads."""
        with self._tracker.changed:
            self._transaction_waits = True
            self._tracker.changed.notify_all()
        self.sending.acquire()
        self._transaction_waits = False

    def answer_awaited(self) -> bool:
        """Tell whether a thread, or a transaction, waits for the answer to marks that are on their way."""
        return super().answer_awaited() or (self._transaction_waits and self._on_their_way is not None)

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

    def with_marks(
        self, offsets: Sequence[TopicPartition], passed: Sequence[TopicPartition]
    ) -> list[TopicPartition]:  # fmt: skip
        """Return offsets as a transaction commits them, with the marks beside them. Hold `sending` meanwhile.

        Nothing is begun behind those that are `passed`.
        """
        held = [(place, self._tracker.get(place.topic, place.partition)) for place in offsets]
        return [
            self._marked(place.topic, place.partition, place.offset, None if tracked is None else tracked.position)
            for place, tracked in held
        ] + [self._marked(place.topic, place.partition, place.offset) for place in passed]

    def committed(self, offsets: Sequence[TopicPartition]) -> None:
        """Note what a transaction has committed, as `with_marks` returned it. Hold `sending` until records finish."""
        with self._tracker.changed:
            for place in offsets:
                tracked = self._tracker.get(place.topic, place.partition)
                if tracked is not None:
                    tracked.mark_committed(place.offset)
        self.on_commit(None, list(offsets))
