"""Where partitions begin when the broker does not say so at once."""

from typing import cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from streams.offsets import OffsetRecovery
from streams.tracker import Tracker

TOPIC = "frames.x"
AWAY = KafkaException(KafkaError(KafkaError._TIMED_OUT))
PARTITIONS = [TopicPartition(TOPIC, number) for number in range(3)]


class Client:
    """A consumer of three partitions, of which 1 has no committed offset; `away` is how often it gets no answer."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.assigned: list[TopicPartition] = []

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:  # noqa: ARG002
        if self.away:
            self.away -= 1
            raise AWAY
        return [TopicPartition(TOPIC, place.partition, (5, OFFSET_INVALID, 7)[place.partition]) for place in places]

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        return 2, 10

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = places

    def assignment(self) -> list[TopicPartition]:
        return self.assigned

    def offsets(self) -> dict[int, int]:
        return {place.partition: place.offset for place in self.assigned}


def _nothing_lost(*_: object) -> None:
    pytest.fail("nothing is lost")


def _begin(client: Client) -> tuple[OffsetRecovery, Tracker]:
    recovery, tracker = OffsetRecovery(cast("Consumer", client), "g"), Tracker(lambda _: None)
    for place in PARTITIONS:
        tracker.assign(place.topic, place.partition)
    client.assign(recovery.start(PARTITIONS))
    return recovery, tracker


def test_partitions_begin_where_they_were_committed() -> None:
    client = Client(away=0)
    recovery, _ = _begin(client)
    assert client.offsets() == {0: 5, 1: OFFSET_BEGINNING, 2: 7}
    assert not recovery.pending()


def test_what_the_broker_does_not_say_is_asked_again_until_it_does() -> None:
    client = Client(away=3)
    recovery, tracker = _begin(client)
    assert set(client.offsets().values()) == {OFFSET_INVALID}
    for _ in range(2):
        recovery.recover(tracker, _nothing_lost)
        assert recovery.pending()
    recovery.recover(tracker, _nothing_lost)
    assert client.offsets() == {0: 5, 1: 2, 2: 7}
    assert not recovery.pending()


def test_what_the_client_has_found_by_itself_meanwhile_stands() -> None:
    client = Client(away=1)
    recovery, tracker = _begin(client)
    read = tracker.get(TOPIC, 2)
    assert read is not None
    read.take(7, 0, None, b"", [], 1)
    recovery.recover(tracker, _nothing_lost)
    assert client.offsets() == {0: 5, 1: 2, 2: 8}


def test_partitions_that_were_taken_away_meanwhile_are_nobody_s_concern() -> None:
    client = Client(away=1)
    recovery, tracker = _begin(client)
    recovery.forget(PARTITIONS)
    assert not recovery.pending()
    recovery.recover(tracker, _nothing_lost)
    assert set(client.offsets().values()) == {OFFSET_INVALID}
