"""Commits with marks beside the offsets, by a client that notes what it is given."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import OutageError
from sightline.runtime.inhand import InHand
from sightline.runtime.life import Life
from streams import commits
from streams.commits import Committer
from streams.suspicion import Mark, parse_mark
from streams.tracker import Record, Tracker
from streams.watch import Watch

TOPIC = "frames.x"


class Client:
    """Stands in for the consumer: says yes, or raises `error`."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, Mark | None, bool]] = []
        self.error: int | None = None

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> list[TopicPartition]:
        if self.error is not None:
            raise KafkaException(KafkaError(self.error))
        for place in offsets:
            mark = parse_mark(place.metadata, place.topic, place.partition)
            self.commits.append((place.offset, mark, asynchronous))
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
        self.committer.begin(self.consumer, [TopicPartition(TOPIC, 0, 10)])

    def take(self, count: int) -> list[Record]:
        first = self.partition.position or 10
        return [self.partition.take(first + n, 1000, None, b"", [], 1) for n in range(count)]

    @contextmanager
    def marking(self) -> Iterator[threading.Thread]:
        """Ask for a mark in another thread, until the block ends."""
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(self.committer.mark_now, [(TOPIC, 0)])
            while not self.committer.asked() and not asking.done():
                threading.Event().wait(0.005)
            yield threading.current_thread()
            asking.result(20)


def test_a_partition_is_marked_when_it_is_assigned_and_cleared_when_it_is_given_up() -> None:
    desk = Desk()
    ((offset, mark, asynchronous),) = desk.client.commits
    assert (offset, asynchronous) == (10, False)
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


def test_work_that_a_mark_covers_waits_for_nothing_and_other_work_for_one() -> None:
    desk = Desk()
    desk.committer.cover(desk.consumer, desk.take(2))
    assert len(desk.client.commits) == 1
    desk.committer.cover(desk.consumer, desk.take(10))
    assert len(desk.client.commits) == 2
    assert desk.watch.uncovered(desk.take(1)) == frozenset()


def test_a_mark_that_a_work_thread_wants_is_made_by_the_polling_thread() -> None:
    desk = Desk()
    desk.take(1)
    with desk.marking():
        assert len(desk.client.commits) == 1
        desk.committer.answer(desk.consumer)
    assert len(desk.client.commits) == 2
    assert not desk.committer.asked()


def test_a_mark_that_cannot_be_made_is_an_outage_and_commits_go_on() -> None:
    desk = Desk()
    desk.take(1)
    desk.client.error = KafkaError._TRANSPORT
    with pytest.raises(OutageError), desk.marking():
        desk.committer.answer(desk.consumer)
    desk.client.error = None
    desk.committer.commit(desk.consumer)
    assert [offset for offset, _, _ in desk.client.commits] == [10, 10]


def test_while_a_transaction_commits_marks_wait_their_turn() -> None:
    desk = Desk()
    desk.take(1)
    with desk.marking():
        with desk.committer.sending:
            desk.committer.answer(desk.consumer)
            assert desk.committer.asked()
            assert len(desk.client.commits) == 1
        desk.committer.answer(desk.consumer)


def test_who_waits_for_a_mark_is_let_go_when_partitions_are_taken_away() -> None:
    desk = Desk()
    desk.take(1)
    with desk.marking():
        desk.committer.dismiss()
    desk.committer.mark_now([(TOPIC, 0)])  # returns at once
    assert len(desk.client.commits) == 1


def test_without_a_watch_nothing_stands_beside_an_offset() -> None:
    desk = Desk()
    bare = Committer("group", desk.tracker)
    bare.begin(desk.consumer, [TopicPartition(TOPIC, 0, 10)])
    desk.take(1)[0].finish()
    bare.commit(desk.consumer)
    bare.commit_now(desk.consumer)
    assert desk.client.commits[1:] == [(11, None, True)]


def test_a_broker_that_never_answers_holds_nobody_up_and_is_not_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "_ANSWER_S", 0.05)
    desk, answering = Desk(), threading.Event()
    said_yes = desk.client.commit

    def silent(offsets: list[TopicPartition], *, asynchronous: bool) -> list[TopicPartition]:
        answering.wait(20)
        return said_yes(offsets, asynchronous=asynchronous)

    monkeypatch.setattr(desk.client, "commit", silent)
    (record, _) = desk.take(2)
    with pytest.raises(OutageError), desk.marking():
        desk.committer.answer(desk.consumer)
    record.finish()
    before = len(desk.client.commits)
    desk.committer.commit(desk.consumer)
    assert len(desk.client.commits) == before  # the earlier one might come after it
    answering.set()
    while desk.committer.sending.locked():
        time.sleep(0.001)
    desk.committer.commit(desk.consumer)
    assert [offset for offset, _, _ in desk.client.commits[before:]] == [10, 11]
