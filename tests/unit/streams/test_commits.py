"""Commits with marks beside the offsets, by a client that notes what it is given."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import OutageError
from sightline.runtime.inhand import InHand
from sightline.runtime.life import Life
from streams.commits import Committer
from streams.commits_by_transaction import TransactionalCommitter
from streams.suspicion import Mark, parse_mark
from streams.tracker import Record, Tracker
from streams.watch import Watch

TOPIC = "frames.x"


class Client:
    """Stands in for the consumer: says yes, or raises `error`. What is not waited for is answered when it is polled."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, Mark | None, bool]] = []
        self.error: int | None = None
        self.unanswered: list[list[TopicPartition]] = []

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> list[TopicPartition]:
        if self.error is not None:
            raise KafkaException(KafkaError(self.error))
        for place in offsets:
            mark = parse_mark(place.metadata, place.topic, place.partition)
            self.commits.append((place.offset, mark, asynchronous))
        self.unanswered += [offsets] if asynchronous else []
        return offsets


class Desk:
    """A committer with a watch over one partition that begins at offset 10."""

    def __init__(self) -> None:
        self.client = Client()
        self.consumer = cast("Consumer", self.client)
        self.watch = Watch(Life(InHand(), "aa", "aa.0", 1), 10.0)
        self.tracker = Tracker(lambda _: None)
        self.partition = self.tracker.assign(TOPIC, 0)
        self.committer = Committer("group", self.tracker, self.watch)
        self.committer.begin(self.consumer, [TopicPartition(TOPIC, 0, 10)], 0)
        self.poll()

    def take(self, count: int) -> list[Record]:
        first = self.partition.position or 10
        return [self.partition.take(first + n, 1000, None, b"", [], 1) for n in range(count)]

    def poll(self, error: int | None = None) -> None:
        """Have everything answered that is on its way."""
        answered, self.client.unanswered = self.client.unanswered, []
        for offsets in answered:
            self.committer.on_commit(None if error is None else KafkaError(error), offsets)

    def waiting(self) -> bool:
        """Tell whether a thread waits for marks that are not on their way."""
        return bool(self.committer._requests)

    @contextmanager
    def asking(
        self, *, refused: bool = False, dismissed: bool = False, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[None]:
        """Ask for a mark in another thread; at the end of the block it is let go, with an outage where `refused`."""
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(self.committer.mark_now, [(TOPIC, 0)], wanted)
            while not self.waiting() and not asking.done():
                time.sleep(0.005)
            try:
                yield
            except BaseException:
                self.committer.dismiss()
                raise
            with pytest.raises(OutageError) if refused else nullcontext():
                assert asking.result(20) is not dismissed


def test_a_partition_is_marked_when_it_is_assigned_and_cleared_when_it_is_given_up() -> None:
    desk = Desk()
    ((offset, mark, asynchronous),) = desk.client.commits
    assert (offset, asynchronous) == (10, True)
    assert mark is not None
    assert mark.upto > 10
    desk.committer.commit_now(desk.consumer)
    assert desk.client.commits[1:] == [(10, None, False)]


def test_offsets_are_committed_with_marks_that_lead_on() -> None:
    desk = Desk()
    records = desk.take(3)
    records[0].finish()
    desk.committer.commit(desk.consumer)
    offset, mark, asynchronous = desk.client.commits[-1]
    assert (offset, asynchronous) == (11, True)
    assert mark is not None
    assert mark.upto >= 13


def test_work_that_a_mark_covers_needs_no_other_and_other_work_does() -> None:
    desk = Desk()
    desk.committer.cover(desk.consumer, desk.take(2), 0)
    assert len(desk.client.commits) == 1
    records = desk.take(10)
    desk.committer.cover(desk.consumer, records, 0)
    assert len(desk.client.commits) == 2
    assert desk.watch.uncovered(records)
    desk.poll()
    assert desk.watch.uncovered([*records, *desk.take(1)]) == frozenset()


def test_a_mark_that_a_work_thread_wants_is_made_by_the_polling_thread() -> None:
    desk = Desk()
    desk.take(1)
    with desk.asking():
        assert len(desk.client.commits) == 1
        desk.committer.answer(desk.consumer, 0)
        assert not desk.waiting()
        desk.poll()
    assert len(desk.client.commits) == 2
    assert not desk.committer.sending.locked()


def test_one_mark_is_on_its_way_at_a_time() -> None:
    desk = Desk()
    desk.committer.cover(desk.consumer, desk.take(20), 0)
    with desk.asking():
        desk.committer.answer(desk.consumer, 0)
        desk.committer.cover(desk.consumer, desk.take(20), 0)
        desk.committer.commit(desk.consumer)
        assert len(desk.client.commits) == 2
        desk.poll()
        assert desk.committer.asked()  # the one before says nothing of what came after it
        desk.committer.answer(desk.consumer, 0)
        desk.poll()


def test_who_asks_while_a_mark_is_on_its_way_that_will_do_waits_for_that_one() -> None:
    desk = Desk()
    records = desk.take(20)
    desk.committer.cover(desk.consumer, records, 0)
    with desk.asking(wanted=lambda: bool(desk.watch.uncovered(records))):
        assert desk.committer.answer_awaited()
        desk.poll()
    assert not desk.committer.answer_awaited()
    assert len(desk.client.commits) == 2


def test_the_answer_to_another_commit_is_not_taken_for_that_to_a_mark() -> None:
    desk = Desk()
    records = desk.take(2)
    records[0].finish()
    desk.committer.commit(desk.consumer)
    with desk.asking():
        records[1].finish()
        desk.committer.answer(desk.consumer, 0)
        first, marks = desk.client.unanswered
        desk.committer.on_commit(None, first)
        assert desk.committer.sending.locked()
        desk.committer.on_commit(None, marks)
    assert not desk.committer.sending.locked()


@pytest.mark.parametrize("raised", [True, False])
def test_a_mark_that_cannot_be_made_is_an_outage_and_commits_go_on(*, raised: bool) -> None:
    desk = Desk()
    desk.take(1)
    desk.client.error = KafkaError._TRANSPORT if raised else None
    with desk.asking(refused=True):
        desk.committer.answer(desk.consumer, 0)
        desk.poll(KafkaError._TRANSPORT)
    desk.client.error = None
    before = len(desk.client.commits)
    desk.committer.commit(desk.consumer)
    assert [offset for offset, _, _ in desk.client.commits[before:]] == [10]


def test_while_a_transaction_commits_marks_wait_their_turn() -> None:
    desk = Desk()
    desk.take(1)
    with desk.asking():
        with desk.committer.sending:
            desk.committer.answer(desk.consumer, 0)
            assert desk.waiting()
            assert not desk.committer.asked()
            assert len(desk.client.commits) == 1
        desk.committer.answer(desk.consumer, 0)
        desk.poll()


@pytest.mark.parametrize("sent", [True, False])
def test_who_waits_for_a_mark_is_let_go_when_partitions_are_taken_away(*, sent: bool) -> None:
    desk = Desk()
    desk.take(1)
    with desk.asking(dismissed=True):
        if sent:
            desk.committer.answer(desk.consumer, 0)
        desk.committer.dismiss()
    before = len(desk.client.commits)
    assert not desk.committer.mark_now([(TOPIC, 0)], lambda: True)  # returns at once
    assert len(desk.client.commits) == before


def test_a_mark_on_its_way_is_answered_before_partitions_are_given_up() -> None:
    desk = Desk()
    records = desk.take(20)
    desk.committer.cover(desk.consumer, records, 0)
    desk.committer.dismiss()
    desk.committer.settle(desk.consumer)
    assert not desk.committer.sending.locked()
    records[0].finish()
    desk.committer.commit_now(desk.consumer)
    assert [(offset, later) for offset, _, later in desk.client.commits[1:]] == [(10, True), (10, False), (11, False)]
    desk.poll()  # late, and of no matter


def test_an_answer_is_not_waited_for_when_the_partitions_are_lost() -> None:
    desk = Desk()
    desk.committer.cover(desk.consumer, desk.take(20), 0)
    desk.committer.dismiss()
    desk.committer.forget()
    assert not desk.committer.sending.locked()
    assert len(desk.client.commits) == 2
    desk.poll()


def test_a_transaction_that_waits_for_a_mark_has_its_answer_awaited() -> None:
    desk = Desk()
    committer = TransactionalCommitter("group", desk.tracker, desk.watch)
    committer.cover(desk.consumer, desk.take(20), 0)
    assert not committer.answer_awaited()
    with ThreadPoolExecutor(1) as pool:
        beginning = pool.submit(committer.begin_sending)
        while not committer.answer_awaited():
            time.sleep(0.005)
        assert not beginning.done()
        committer.on_commit(None, desk.client.unanswered.pop())
        beginning.result(20)
    assert committer.sending.locked()
    assert not committer.answer_awaited()


def test_without_a_watch_nothing_stands_beside_an_offset() -> None:
    desk = Desk()
    bare = Committer("group", desk.tracker)
    bare.begin(desk.consumer, [TopicPartition(TOPIC, 0, 10)], 0)
    desk.take(1)[0].finish()
    bare.commit(desk.consumer)
    bare.commit_now(desk.consumer)
    assert desk.client.commits[1:] == [(11, None, True)]


def test_a_broker_that_never_answers_holds_nobody_up_and_is_not_overtaken() -> None:
    desk = Desk()
    (record, _) = desk.take(2)
    with desk.asking(refused=True):
        desk.committer.answer(desk.consumer, 100)
        desk.committer.answer(desk.consumer, 104)
        assert desk.committer.unanswered_s(104) == 4
        desk.committer.answer(desk.consumer, 106)
    with desk.asking(refused=True):  # and whoever comes later learns it at once
        desk.committer.answer(desk.consumer, 107)
    record.finish()
    before = len(desk.client.commits)
    desk.committer.commit(desk.consumer)
    assert len(desk.client.commits) == before  # the earlier one might come after it
    desk.poll()
    desk.committer.commit(desk.consumer)
    assert [offset for offset, _, _ in desk.client.commits[before:]] == [11]
