"""The loop while the answer to its marks is late, with a client that answers when it is told to."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, TopicPartition

from sightline.runtime import pulse
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sightline.runtime.inhand import InHand
from sightline.runtime.life import Life
from sightline.runtime.settings import KafkaSettings
from streams import loop as loops
from streams.alerts import Alarm
from streams.loop import BatchLimits, Loop
from streams.tracker import Record
from streams.watch import Watch

TOPIC = "frames.x"
_OnAssign = Callable[[Any, list[TopicPartition]], None]


@dataclass
class Fetched:
    """A record as the client gives it."""

    place: int

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.place

    def timestamp(self) -> tuple[int, int]:
        return 1, 1000

    def key(self) -> None: ...

    def error(self) -> None: ...

    def value(self) -> bytes:
        return b"frame"

    def headers(self) -> list[tuple[str, bytes]]:
        return []


class Client:
    """Stands in for the consumer of one partition with `count` records, all of them fetched ahead."""

    def __init__(self, count: int) -> None:
        self.waiting = deque(Fetched(offset) for offset in range(count))
        self.on_commit: Callable[[KafkaError | None, list[TopicPartition]], None] | None = None
        self.on_statistics: Callable[[str], None] = lambda _: None
        self.answering = threading.Event()
        self.unanswered: list[list[TopicPartition]] = []
        self.committed_offset = 0
        self.paused = False
        self.pauses = self.polls = 0
        self._held: list[TopicPartition] = []

    def subscribe(self, _: object, *, on_assign: _OnAssign, on_revoke: _OnAssign, on_lost: object) -> None:
        del on_lost
        self._on_assign, self._on_revoke = on_assign, on_revoke

    def poll(self, timeout_s: float) -> Fetched | None:
        self.polls += 1
        if not self._held:
            self._held = [TopicPartition(TOPIC, 0)]
            self._on_assign(self, self._held)
        while self.answering.is_set() and self.unanswered:
            self._answer(self.unanswered.pop(0))
        if self.paused or not self.waiting:
            time.sleep(min(timeout_s, 0.005))
            return None
        return self.waiting.popleft()

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> list[TopicPartition]:
        if asynchronous:
            self.unanswered.append(offsets)
        else:
            self._note(offsets)
        return offsets

    def _answer(self, offsets: list[TopicPartition]) -> None:
        self._note(offsets)
        assert self.on_commit is not None
        self.on_commit(None, offsets)

    def _note(self, offsets: list[TopicPartition]) -> None:
        assert offsets[0].offset >= self.committed_offset
        self.committed_offset = offsets[0].offset

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:  # noqa: ARG002
        return [TopicPartition(TOPIC, 0, 0) for _ in partitions]

    def assign(self, _: object) -> None: ...

    def assignment(self) -> list[TopicPartition]:
        return self._held

    def pause(self, _: object) -> None:
        self.paused = True
        self.pauses += 1

    def resume(self, _: object) -> None:
        self.paused = False

    def get_watermark_offsets(self, _: object, *, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, 1000

    def list_topics(self, timeout: float) -> SimpleNamespace:  # noqa: ARG002
        return SimpleNamespace(topics={TOPIC: SimpleNamespace(error=None)})

    def list_offsets(self, *_: object, **__: object) -> dict[TopicPartition, object]:
        return {}

    def close(self) -> None:
        self._on_revoke(self, self._held)


class Handler:
    """Begins records under the watch, and finishes them."""

    def __init__(self, watch: Watch) -> None:
        self.begun: list[int] = []
        self._watch = watch

    def prepare(self, records: Sequence[Record]) -> None:
        with self._watch.over(records):
            self.begun += [record.offset for record in records]

    def deliver(self, records: Sequence[Record], _: None) -> None:
        for record in records:
            record.finish()


@contextmanager
def running(
    monkeypatch: pytest.MonkeyPatch,
    client: Client,
    *,
    inflight_bytes: int = 1,
    allowance: Callable[[], int] | None = None,
) -> Iterator[tuple[Loop[None], Handler]]:
    def make(*_: object, on_commit: Callable[..., None], on_statistics: Callable[[str], None], **__: object) -> Client:
        client.on_commit, client.on_statistics = on_commit, on_statistics
        return client

    monkeypatch.setattr(loops, "make_consumer", make)
    monkeypatch.setattr(loops, "make_admin", lambda _: client)
    watch = Watch(Life(InHand(), "aa", "aa.0", 1), 10.0)
    handler = Handler(watch)
    limits = BatchLimits(records=1, size_bytes=1, wait_s=0.01, inflight_bytes=inflight_bytes, threads=1)
    alarm = cast("Alarm", SimpleNamespace(blocked=None, lost=None))
    loop = Loop(KafkaSettings(), "g", [TOPIC], handler, alarm, limits, SystemClock(), Faults(None), allowance, watch)
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(loop.run)
        try:
            yield loop, handler
        finally:
            client.answering.set()
            loop.stop()
        ran.result(10)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_without_an_answer_nothing_is_begun_and_the_loop_polls_on(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(50)
    with running(monkeypatch, client) as (loop, handler):
        wait_for(lambda: client.paused)
        polls = client.polls
        wait_for(lambda: client.polls > polls + 20)
        assert handler.begun == []
        assert loop.in_hand() == 2  # the one that there was room for, and the one that came along
        client.answering.set()
        wait_for(lambda: len(handler.begun) == 50)
    assert handler.begun == list(range(50))
    assert client.committed_offset == 50


@pytest.mark.parametrize("inflight_bytes", [1, 1_000_000])
def test_answers_that_come_in_time_cost_no_pause(monkeypatch: pytest.MonkeyPatch, inflight_bytes: int) -> None:
    client = Client(200)
    client.answering.set()
    with running(monkeypatch, client, inflight_bytes=inflight_bytes) as (_, handler):
        wait_for(lambda: len(handler.begun) == 200)
    assert handler.begun == list(range(200))
    assert client.pauses == 0


def test_none_comes_along_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(5)
    with running(monkeypatch, client, allowance=lambda: len(client.waiting) == 5) as (loop, handler):
        wait_for(lambda: client.paused)
        polls = client.polls
        wait_for(lambda: client.polls > polls + 20)
        assert (loop.in_hand(), handler.begun) == (1, [])


def test_a_commit_without_an_answer_for_long_is_no_good_life(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(5)
    with running(monkeypatch, client) as (loop, _):
        wait_for(lambda: client.paused)
        assert loop.stalled() is None
        monkeypatch.setattr(loops, "_UNANSWERED_S", 0.0)
        assert "answer" in (loop.stalled() or "")
    assert loop.stalled() is None


def test_a_client_that_hangs_is_no_good_life(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(5)
    with running(monkeypatch, client) as (loop, _):
        assert loop.stalled() is None
        monkeypatch.setattr(pulse, "_STOPPED_AFTER_S", 0.2)
        wait_for(lambda: "the consumer has given no sign of life" in (loop.stalled() or ""))
        client.on_statistics('{"brokers": {"b": {"source": "configured"}}}')
        assert loop.stalled() is None


def test_a_transaction_that_hangs_is_no_good_life(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(5)
    with running(monkeypatch, client) as (loop, _):
        monkeypatch.setattr(loop, "_transactions", SimpleNamespace(asking_s=lambda: 44.0))
        assert loop.stalled() is None
        monkeypatch.setattr(loop, "_transactions", SimpleNamespace(asking_s=lambda: 46.0))
        assert "transaction" in (loop.stalled() or "")
        monkeypatch.setattr(loop, "_transactions", None)
