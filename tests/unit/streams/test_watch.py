"""What is in hand, who works beside whom, and who is told before work begins."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from confluent_kafka import TopicPartition

from schemas.errors import Code, OutageError
from sightline.runtime.deaths import Suspect
from sightline.runtime.inhand import MOST_TOGETHER, InHand, Place
from sightline.runtime.life import Life
from streams import watch as module
from streams.patience import GivenBackError
from streams.tracker import Record, TrackedPartition, Tracker
from streams.watch import Unwatched, Watch

TOPIC = "frames.x"


class Desk:
    """One partition that a watch looks after; the broker takes every mark, or is away."""

    def __init__(self, *suspects: Suspect, text: str = "", life: Life | None = None) -> None:
        self.life = life or Life(InHand(), "aa", "aa.1", 1, suspects)
        self.watch = Watch(self.life, 10.0)
        self.marks: list[str] = []
        self.wanted_after: list[bool] = []
        self.away = False
        self.leaving = False
        self.tracker = Tracker(lambda _: None)
        self.partition: TrackedPartition = self.tracker.assign(TOPIC, 0)
        self.watch.assigned([TopicPartition(TOPIC, 0, 0, metadata=text)], self)

    def mark_now(self, partitions: Iterable[tuple[str, int]], wanted: Callable[[], bool] = lambda: True) -> bool:
        assert list(partitions) == [(TOPIC, 0)]
        assert wanted()
        if self.away:
            raise OutageError("kafka", "away")
        if self.leaving:
            return False
        offset, position = self.partition.safe_offset(), self.partition.position
        assert offset is not None
        assert position is not None
        text = self.watch.text(TOPIC, 0, offset, position, leaving=False)
        self.marks.append(text)
        self.watch.acknowledged([TopicPartition(TOPIC, 0, offset, metadata=text)])
        self.wanted_after.append(wanted())
        return True

    def take(self, count: int) -> list[Record]:
        first = self.partition.position or 0
        return [self.partition.take(first + n, 1000, None, b"", [], 1) for n in range(count)]

    def in_hand(self) -> list[list[int]]:
        return [[place.offset for place in held.places] for held in self.life.in_hand.read()]


def _suspect(offset: int, deaths: int = 1, alone: int = 0, code: Code | None = None) -> Suspect:
    return Suspect(Place(TOPIC, 0, offset, 1000), deaths, alone, "SIGSEGV", code)


def _offsets(batches: list[list[Record]]) -> list[list[int]]:
    return [[record.offset for record in batch] for batch in batches]


def test_what_is_in_hand_is_listed_while_it_is() -> None:
    desk = Desk()
    with desk.watch.over(desk.take(3)):
        assert desk.in_hand() == [[0, 1, 2]]
    assert desk.in_hand() == []


def test_before_the_first_record_is_begun_the_broker_has_a_mark_and_then_for_a_while_none_is_needed() -> None:
    desk = Desk()
    first, second = desk.take(1), desk.take(1)
    with desk.watch.over(first):
        assert len(desk.marks) == 1
    with desk.watch.over(second):
        assert len(desk.marks) == 1
    with desk.watch.over(desk.take(10)):
        assert len(desk.marks) == 2


def test_the_polling_thread_is_told_what_no_mark_covers() -> None:
    desk = Desk()
    records = desk.take(2)
    assert desk.watch.uncovered(records) == {(TOPIC, 0)}
    desk.mark_now([(TOPIC, 0)])
    assert desk.watch.uncovered(records) == frozenset()


def test_an_earlier_mark_will_do_where_it_covers_and_for_no_suspect() -> None:
    desk = Desk(_suspect(2))
    first, (suspect,) = desk.watch.split(desk.take(3))
    with desk.watch.over(first):
        assert desk.wanted_after == [False]
    for record in first:
        record.finish()
    with desk.watch.over([suspect]):
        assert desk.wanted_after == [False, True]


def test_one_that_was_alone_is_not_held_to_account_for_what_comes_after_it() -> None:
    desk = Desk(_suspect(0))
    (alone,), (other,) = desk.watch.split(desk.take(2))
    with desk.watch.over([alone]):
        pass
    with desk.watch.over([other]):
        assert '"alone"' in desk.marks[-2]
        assert '"alone"' not in desk.marks[-1]


def test_without_the_broker_nothing_is_begun() -> None:
    desk = Desk()
    records = desk.take(2)
    desk.away = True
    with pytest.raises(OutageError), desk.watch.over(records):
        raise AssertionError
    assert desk.in_hand() == []
    desk.away = False
    with desk.watch.over(records):
        assert desk.in_hand() == [[0, 1]]


def test_suspects_stand_alone_in_order() -> None:
    desk = Desk(_suspect(1), _suspect(4))
    assert _offsets(desk.watch.split(desk.take(6))) == [[0], [1], [2, 3], [4], [5]]
    assert _offsets(desk.watch.split(desk.take(2))) == [[6, 7]]


def test_a_batch_is_no_larger_than_what_can_be_listed() -> None:
    desk = Desk()
    assert [len(batch) for batch in desk.watch.split(desk.take(MOST_TOGETHER + 5))] == [MOST_TOGETHER, 5]


def test_after_one_death_that_nobody_saw_some_are_tried_alone_and_after_two_all() -> None:
    for was, alone in (("", 32), (',"was":[1000,1]', 100)):
        desk = Desk(text=f'{{"v":1,"by":"zz.0","upto":1000{was}}}')
        batches = desk.watch.split(desk.take(100))
        assert [len(batch) for batch in batches[:alone]] == [1] * alone
        assert len(batches) == alone + (alone < 100)


def test_a_suspect_is_named_before_it_is_begun_and_cleared_when_it_did_no_harm() -> None:
    desk = Desk(_suspect(0, 2, 1))
    ((record,), (other,)) = desk.watch.split(desk.take(2))
    with desk.watch.over([record]):
        assert '"alone":0' in desk.marks[-1]
        assert [held.alone for held in desk.life.in_hand.read()] == [(2, 1)]
    assert '"alone"' not in desk.marks[-1]  # before its answer leaves
    with desk.watch.over([other]):
        assert [held.alone for held in desk.life.in_hand.read()] == [None]
    assert _offsets(desk.watch.split([record])) == [[0]]
    with desk.watch.over([record]):
        assert [held.alone for held in desk.life.in_hand.read()] == [None]


def test_one_that_met_an_outage_stays_a_suspect() -> None:
    desk = Desk(_suspect(0))
    records = desk.take(1)
    desk.watch.split(records)
    with pytest.raises(OutageError), desk.watch.over(records):
        raise OutageError("models", "not there")
    with desk.watch.over(records):
        assert [held.alone for held in desk.life.in_hand.read()] == [(1, 0)]


@contextmanager
def _held_by_another_thread(desk: Desk, records: list[Record]) -> Iterator[threading.Event]:
    begun, end = threading.Event(), threading.Event()

    def hold() -> None:
        with desk.watch.over(records):
            begun.set()
            assert end.wait(20)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        assert begun.wait(20)
        yield end
        end.set()
        held.result()


def test_batches_are_worked_on_side_by_side() -> None:
    desk = Desk()
    with _held_by_another_thread(desk, desk.take(2)), desk.watch.over(desk.take(1)):
        assert desk.in_hand() == [[0, 1], [2]]


def test_a_suspect_waits_for_the_others_and_they_for_it() -> None:
    desk = Desk(_suspect(0))
    suspect, others = desk.watch.split(desk.take(3))
    seen: list[list[list[int]]] = []

    def work(records: list[Record]) -> None:
        with desk.watch.over(records):
            seen.append(desk.in_hand())

    with ThreadPoolExecutor(2) as pool:
        with _held_by_another_thread(desk, others):
            waiting = [pool.submit(work, suspect)]
            while not desk.watch._waiting_alone:
                threading.Event().wait(0.01)
            waiting.append(pool.submit(work, desk.take(1)))
            assert seen == []
        for one in waiting:
            one.result(20)
    assert seen == [[[0]], [[3]]]


def test_a_suspect_waits_until_all_before_it_is_finished() -> None:
    desk = Desk(_suspect(2))
    before, suspect = desk.watch.split(desk.take(3))

    def begin() -> str:
        with desk.watch.over(suspect):
            return desk.marks[-1]

    with ThreadPoolExecutor(1) as pool:
        beginning = pool.submit(begin)
        before[1].finish()
        time.sleep(0.05)
        assert not beginning.done()
        assert desk.marks == []
        before[0].finish()
        assert '"alone":2' in beginning.result(20)
    assert desk.partition.safe_offset() == 2


def test_a_suspect_does_not_wait_for_ever_for_what_is_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EARLIER_S", 0.05)
    desk = Desk(_suspect(2))
    _, suspect = desk.watch.split(desk.take(3))
    with desk.watch.over(suspect):
        assert '"alone":2' in desk.marks[-1]


@pytest.mark.parametrize("leaving", [True, False])
def test_a_suspect_whose_partition_is_taken_away_is_left_to_the_next_owner(*, leaving: bool) -> None:
    desk = Desk(_suspect(1))
    (before,), suspect = desk.watch.split(desk.take(2))

    def begin() -> None:
        with desk.watch.over(suspect):
            raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        beginning = pool.submit(begin)
        desk.leaving = leaving
        if leaving:
            before.finish()
        with pytest.raises(TimeoutError):
            beginning.result(0.05)
        desk.tracker.revoke(TOPIC, 0)
        desk.watch.dropped(TOPIC, 0)
        with pytest.raises(GivenBackError):
            beginning.result(20)
    assert desk.marks == []
    assert desk.in_hand() == []


def test_whoever_is_blamed_is_named_with_the_reason() -> None:
    desk = Desk(_suspect(1, 2, 1, Code.PROCESS_KILLED), _suspect(2))
    one, guilty, suspect = desk.take(3)
    assert desk.watch.blamed(one) is None
    assert desk.watch.blamed(suspect) is None
    error = desk.watch.blamed(guilty)
    assert error is not None
    assert (error.code, error.stage) == (Code.PROCESS_KILLED, "process")
    assert "SIGSEGV" in error.reason
    assert "in hand at 2 deaths, 1 alone" in error.reason


def test_another_record_with_the_offset_of_a_suspect_is_not_it() -> None:
    desk = Desk(Suspect(Place(TOPIC, 0, 0, 5), 2, 1, "SIGSEGV", Code.PROCESS_KILLED))
    (record,) = desk.take(1)
    assert desk.watch.blamed(record) is None


def test_a_partition_that_was_given_up_is_nobody_s_business() -> None:
    desk = Desk(_suspect(0))
    records = desk.take(1)
    desk.watch.split(records)
    desk.watch.dropped(TOPIC, 0)
    assert desk.watch.blamed(records[0]) is None
    assert desk.watch.text(TOPIC, 0, 0, 0, leaving=True) == ""
    with desk.watch.over(records):
        assert desk.marks == []


def test_a_process_that_follows_a_dead_one_joins_shortly_before_the_group_gives_that_one_up() -> None:
    assert Desk().watch.join_in_s(100.0) == 0
    after = Desk(life=Life(InHand(), "aa", "aa.1", 1, died_at_s=100.0)).watch
    assert after.join_in_s(101.0) == 7.0
    assert after.join_in_s(200.0) == 0


def test_without_a_supervisor_nothing_is_noted() -> None:
    unwatched, (record,) = Unwatched(), Desk().take(1)
    assert unwatched.blamed(record) is None
    with unwatched.over([record]):
        pass
