"""The worker behind its flood guard: what is published, what is held back, what is judged again."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from processors.outcome import Success
from schemas import topics
from schemas.errors import Code, InputError, Stage
from schemas.frame import Frame, Origin, parse_frame
from sightline.runtime.clock import SystemClock
from streams.alerts import Alarm
from streams.flood import Flood, FloodGuard, FloodHaltError, FloodRules, Verdict
from streams.guarded import PROBE_FRAMES, GuardedHandler, Judged
from streams.skipping import skipped_answer
from streams.tracker import Record, Tracker
from streams.worker import Answer, Rejected, WorkerHandler
from tests.pictures import headers
from tests.unit.processors.samples import NOW

COUNT = 10
_BROKEN = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "unit")


@dataclass
class FakeWorker:
    """Fails whatever comes while `broken`; notes what it published."""

    broken: bool = True
    skipping: bool = False
    judged: list[int] = field(default_factory=list)  # sizes of batches
    published: list[Answer] = field(default_factory=list)

    def prepare(self, records: Sequence[Record]) -> list[Answer]:
        self.judged.append(len(records))
        return [self._answer(record) for record in records]

    def deliver(self, _: Sequence[Record], prepared: list[Answer]) -> None:
        self.published += prepared

    def _answer(self, record: Record) -> Answer:
        frame = _frame(record)
        if self.broken and not self.skipping:
            return Rejected(_BROKEN, frame)
        answer = skipped_answer(frame, "unit", "thinned", NOW)
        if self.skipping:
            return answer
        return Success(frame, answer.result.model_copy(update={"kind": "frame"}), ())

    def count(self, kind: type) -> int:
        return sum(isinstance(answer, kind) for answer in self.published)


class FakeAlarm:
    def __init__(self) -> None:
        self.floods: list[Flood] = []

    def flooded(self, flood: Flood) -> None:
        self.floods.append(flood)


def _frame(record: Record) -> Frame:
    return parse_frame(record.value, record.headers or [], Origin(record.topic, 0, record.offset), record.timestamp_ms)


class Bench:
    """A handler, its worker, and how many newer frames succeed."""

    def __init__(self) -> None:
        self.fresh = 0
        self.worker, self.alarm = FakeWorker(), FakeAlarm()
        rules = FloodRules(halt=True, count=COUNT, sources=3, window_s=60)
        self.guard = FloodGuard("unit", rules, SystemClock(), self)
        worker, alarm = cast("WorkerHandler", self.worker), cast("Alarm", self.alarm)
        self.handler = GuardedHandler(worker, self.guard, alarm)
        self._tracker = Tracker(lambda _: None)
        self._partition = self._tracker.assign(topics.frames("unit"), 0)
        self._offsets = itertools.count()

    def mark(self) -> None:
        pass

    def since_mark(self) -> list[Verdict]:
        return [Verdict("/new", None)] * self.fresh

    def latest(self) -> list[Verdict]:
        return []

    def records(self, count: int, sources: int = 8) -> list[Record]:
        return [
            self._partition.take(offset, 0, None, b"x", headers(f"e{offset}", f"/c/{offset % sources}"), 1)
            for offset in itertools.islice(self._offsets, count)
        ]

    def prepare(self, count: int, sources: int = 8) -> tuple[list[Record], Judged]:
        records = self.records(count, sources)
        return records, self.handler.prepare(records)


def test_nothing_of_the_batch_that_halts_is_published() -> None:
    bench = Bench()
    bench.handler.deliver(*bench.prepare(COUNT - 1))
    assert bench.worker.count(Rejected) == COUNT - 1
    batch = bench.prepare(4)
    for _ in range(3):
        with pytest.raises(FloodHaltError):
            bench.handler.deliver(*batch)
    assert bench.worker.count(Rejected) == COUNT - 1


def test_when_the_cause_is_gone_what_waited_is_answered_and_nobody_blamed() -> None:
    bench = Bench()
    first, second = bench.prepare(COUNT), bench.prepare(5)
    with pytest.raises(FloodHaltError):
        bench.handler.deliver(*first)
    bench.worker.broken = False
    bench.handler.deliver(*first)
    # It was judged while the cause was there, and in another thread.
    bench.handler.deliver(*second)
    assert bench.worker.count(Success) == COUNT + 5
    assert bench.worker.count(Rejected) == 0


def test_a_probe_is_a_small_batch() -> None:
    bench = Bench()
    batch = bench.prepare(100)
    with pytest.raises(FloodHaltError):
        bench.handler.deliver(*batch)
    bench.worker.judged.clear()
    with pytest.raises(FloodHaltError):
        bench.handler.deliver(*batch)
    assert bench.worker.judged == [PROBE_FRAMES]


def test_when_newer_frames_succeed_the_old_ones_are_dead_letters() -> None:
    bench = Bench()
    batch = bench.prepare(COUNT)
    with pytest.raises(FloodHaltError):
        bench.handler.deliver(*batch)
    bench.fresh = 1
    bench.handler.deliver(*batch)
    assert bench.worker.count(Rejected) == COUNT
    assert not bench.guard.halted


def test_a_batch_without_failures_goes_out_and_ends_the_halt() -> None:
    """The batch that halted went to somebody else with its partitions."""
    bench = Bench()
    with pytest.raises(FloodHaltError):
        bench.handler.deliver(*bench.prepare(COUNT))
    bench.worker.broken = False
    bench.handler.deliver(*bench.prepare(2))
    assert bench.worker.count(Success) == 2
    assert not bench.guard.halted


def test_a_batch_is_counted_once_however_often_it_is_delivered() -> None:
    bench = Bench()
    batch = bench.prepare(COUNT - 1)
    for _ in range(5):
        bench.handler.deliver(*batch)
    assert not bench.guard.halted


def test_skipped_frames_say_nothing() -> None:
    bench = Bench()
    bench.worker.skipping = True
    bench.handler.deliver(*bench.prepare(1000))
    bench.worker.skipping = False
    with pytest.raises(FloodHaltError):
        bench.handler.deliver(*bench.prepare(COUNT))


def test_a_flood_of_one_source_is_published_and_alerted_about() -> None:
    bench = Bench()
    bench.handler.deliver(*bench.prepare(COUNT, sources=1))
    assert bench.worker.count(Rejected) == COUNT
    [flood] = bench.alarm.floods
    assert (flood.worst, flood.code) == ("/c/0", "picture_corrupt")


def test_records_that_went_to_somebody_else_are_not_counted() -> None:
    bench = Bench()
    records, judged = bench.prepare(COUNT)
    bench._tracker.revoke(topics.frames("unit"), 0)
    bench.handler.deliver(records, judged)
    assert not bench.guard.halted


def test_who_names_no_source_is_counted_by_key() -> None:
    bench = Bench()
    records = [bench._partition.take(offset, 0, b"/k/%d" % (offset % 5), b"x", [], 1) for offset in range(COUNT)]
    answers: list[Answer] = [Rejected(_BROKEN) for _ in records]
    with pytest.raises(FloodHaltError) as raised:
        bench.handler.deliver(records, Judged(answers, 0))
    assert raised.value.flood.sources == 5
