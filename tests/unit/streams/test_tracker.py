"""Which offsets may be committed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.tracker import Record, TrackedPartition, Tracker


def _tracker() -> tuple[Tracker, TrackedPartition, list[str]]:
    finished: list[str] = []
    tracker = Tracker(finished.append)
    tracker.assign("frames.x", 0)
    partition = tracker.get("frames.x", 0)
    assert partition is not None
    return tracker, partition, finished


def _take(partition: TrackedPartition, offset: int, value: bytes = b"1234") -> Record:
    return partition.take(offset, 1000 + offset, None, value, [], len(value))


def test_nothing_read_commits_nothing() -> None:
    _, partition, _ = _tracker()
    assert partition.committable() is None


def test_the_lowest_unfinished_offset_is_committed() -> None:
    tracker, partition, finished = _tracker()
    records = [_take(partition, offset) for offset in (5, 6, 9)]
    assert partition.committable() == 5
    records[1].finish()
    assert partition.committable() == 5
    records[0].finish()
    assert partition.committable() == 9
    records[2].finish()
    assert partition.committable() == 10
    assert finished == ["frames.x"] * 3
    assert (tracker.records, tracker.size_bytes) == (0, 0)


def test_what_is_committed_is_not_committed_again_until_it_failed() -> None:
    _, partition, _ = _tracker()
    _take(partition, 5).finish()
    partition.mark_committed(6)
    assert partition.committable() is None
    partition.mark_committed(None)
    assert partition.committable() == 6


def test_who_waits_for_earlier_records_is_let_go_when_they_are_finished_or_given_back() -> None:
    tracker, partition, _ = _tracker()
    one, two, three = (_take(partition, offset) for offset in (5, 6, 7))
    one.wait_for_earlier(0)
    two.wait_for_earlier(0.01)
    with ThreadPoolExecutor(2) as pool:
        second, third = pool.submit(two.wait_for_earlier, 60), pool.submit(three.wait_for_earlier, 60)
        with pytest.raises(TimeoutError):
            second.result(0.05)
        one.finish()
        second.result(10)
        assert not third.done()
        given_back = pool.submit(two.wait_until_given_back)
        with pytest.raises(TimeoutError):
            given_back.result(0.05)
        tracker.revoke("frames.x", 0)
        third.result(10)
        given_back.result(10)


def test_a_record_of_an_assignment_that_is_over_moves_nothing() -> None:
    tracker, partition, finished = _tracker()
    old = _take(partition, 5)
    assert tracker.revoke("frames.x", 0) == 1
    assert not old.held
    assert (tracker.records, tracker.size_bytes) == (0, 0)
    tracker.assign("frames.x", 0)
    again = tracker.get("frames.x", 0)
    assert again is not None
    new = _take(again, 5)
    old.finish()
    assert again.committable() == 5
    new.finish()
    assert again.committable() == 6
    assert finished == ["frames.x"]


def test_revoking_what_is_not_held_gives_nothing_back() -> None:
    tracker, _, _ = _tracker()
    assert tracker.revoke("frames.x", 7) == 0


def test_the_oldest_unread_record() -> None:
    _, partition, _ = _tracker()
    assert partition.oldest_unread_ms(behind=True) is None
    record = _take(partition, 5)
    _take(partition, 6)
    assert partition.oldest_unread_ms(behind=False) == 1005
    record.finish()
    assert partition.oldest_unread_ms(behind=False) == 1006


def test_a_wait_ends_when_the_records_are_given_back() -> None:
    tracker, partition, _ = _tracker()
    record = _take(partition, 5)
    waiting = threading.Thread(target=tracker.wait_unless_given_back, args=([record], 60))
    waiting.start()
    tracker.revoke("frames.x", 0)
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_hand_over_waits_for_all_but_what_is_being_gathered() -> None:
    tracker, partition, _ = _tracker()
    working, gathered = _take(partition, 5), _take(partition, 6)
    waiting = threading.Thread(target=tracker.wait_until_left, args=(60, [gathered], lambda: False))
    waiting.start()
    working.finish()
    waiting.join(10)
    assert not waiting.is_alive()


@given(st.permutations(range(12)))
def test_any_order_of_finishing_commits_no_unfinished_offset(order: list[int]) -> None:
    _, partition, _ = _tracker()
    records = [_take(partition, offset) for offset in range(12)]
    unfinished = set(range(12))
    for number in order:
        records[number].finish()
        unfinished.discard(number)
        assert partition.committable() == min(unfinished, default=12)
