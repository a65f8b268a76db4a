"""Where partitions begin when the broker does not say so at once."""

from collections.abc import Callable
from typing import cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from streams.offsets import OffsetRecovery, Report
from streams.tracker import Tracker

TOPIC = "frames.x"
AWAY = KafkaException(KafkaError(KafkaError._TIMED_OUT))
PARTITIONS = [TopicPartition(TOPIC, number) for number in range(3)]


class Client:
    """A consumer of three partitions, of which 1 has no committed offset; `away` is how often it gets no answer."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.assigned: list[TopicPartition] = []
        self.assignments = 0

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:  # noqa: ARG002
        if self.away:
            self.away -= 1
            raise AWAY
        return [TopicPartition(TOPIC, place.partition, (5, OFFSET_INVALID, 7)[place.partition]) for place in places]

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        return 2, 10

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = places
        self.assignments += 1

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


def _report_later(reports: list[Callable[[], None]]) -> Report:
    """Return what keeps the calls that say that a report is safe."""
    return lambda lost, goes_on_at, on_reported: reports.append(on_reported)  # noqa: ARG005


def _overtaken(recovery: OffsetRecovery, tracker: Tracker, *numbers: int) -> list[Callable[[], None]]:
    """Have partitions overtaken at offset 1; the log begins at 2."""
    reports: list[Callable[[], None]] = []
    for number in numbers:
        tracked = tracker.get(TOPIC, number)
        assert tracked is not None
        tracked.reach(1)
        recovery.note(TOPIC, number)
    recovery.recover(tracker, _report_later(reports))
    return reports


def test_an_overtaken_partition_goes_on_once_its_report_is_safe() -> None:
    client = Client(away=0)
    recovery, tracker = _begin(client)
    (safe,) = _overtaken(recovery, tracker, 1)
    recovery.recover(tracker, _nothing_lost)
    assert client.offsets()[1] == OFFSET_BEGINNING
    safe()
    recovery.recover(tracker, _nothing_lost)
    assert client.offsets()[1] == 2
    assert not recovery.pending()


def test_a_report_that_comes_late_leads_nobody_back() -> None:
    """Both offsets are committed, one report is heard of at once, the other when reading has gone on already."""
    client = Client(away=0)
    recovery, tracker = _begin(client)
    one, other = _overtaken(recovery, tracker, 1, 2)
    for number in (1, 2):
        tracked = tracker.get(TOPIC, number)
        assert tracked is not None
        tracked.go_on_at(2)
    one()
    recovery.recover(tracker, _nothing_lost)
    assert client.offsets() == {0: 5, 1: 2, 2: 2}
    assert tracked is not None
    tracked.take(2, 0, None, b"", [], 1)
    before = client.assignments
    other()
    recovery.recover(tracker, _nothing_lost)
    assert client.assignments == before
    assert not recovery.pending()


def test_the_report_of_an_earlier_assignment_counts_for_nothing() -> None:
    client = Client(away=0)
    recovery, tracker = _begin(client)
    (safe,) = _overtaken(recovery, tracker, 2)
    recovery.forget([TopicPartition(TOPIC, 2)])
    tracker.revoke(TOPIC, 2)
    safe()
    tracker.assign(TOPIC, 2)
    recovery.note(TOPIC, 2)
    recovery.recover(tracker, _nothing_lost)
    assert client.offsets()[2] == 7


def test_a_topic_that_was_made_anew_is_read_from_its_beginning_also_when_it_has_grown_meanwhile() -> None:
    client = Client(away=0)
    recovery, tracker = _begin(client)
    reports: list[Callable[[], None]] = []
    tracked = tracker.get(TOPIC, 1)
    assert tracked is not None
    tracked.reach(11)  # the log ends at 10
    recovery.note(TOPIC, 1)
    recovery.recover(tracker, _report_later(reports))
    tracked.take(11, 0, None, b"", [], 1)
    reports.pop()()
    recovery.recover(tracker, _nothing_lost)
    assert client.offsets()[1] == 2


def test_an_event_of_a_partition_that_is_not_held_is_nobodys_business() -> None:
    client = Client(away=0)
    recovery, tracker = _begin(client)
    tracker.revoke(TOPIC, 1)
    recovery.note(TOPIC, 1)
    recovery.recover(tracker, _nothing_lost)
    assert not recovery.pending()
