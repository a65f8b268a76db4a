"""A run of a replay waits out what may pass; with a publisher of no use any more it ends, and the next one goes on."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from schemas.errors import OutageError
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sinks.postgres.replays import PUBLISHED, RUNNING, PartitionProgress, ReplayBook
from streams.publisher import Publisher
from streams.replay.archive import Archive
from streams.replay.limiter import Limiter
from streams.replay.runner import Job, Runner
from streams.replay.walk import Found, Reached, Walk
from tests.unit.streams.replay.samples import topic_record


class Hurry(SystemClock):
    """A clock whose waits take no time."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        del timeout_s
        return event.is_set()


class Bench:
    """Three frames, a publisher, by default one that acknowledges none of them, and what is saved.

    `away` says how often a service is not there: `book` for saving, `topic` for reading on behind the first frame.
    """

    def __init__(self, *, acknowledges: bool = False, away: Counter[str] | None = None) -> None:
        self._acknowledges = acknowledges
        self._away = away or Counter()
        self.walked_from: list[int] = []
        self.state = RUNNING
        self.sent: list[Any] = []
        self.saved: list[PartitionProgress] = []
        self.stalled: str | None = None
        begin = PartitionProgress(0, 0, 3, 0)
        book = SimpleNamespace(progress=lambda _: [begin], save=self._save, turn=self._turn)
        publisher = SimpleNamespace(publish=self._publish, stalled=lambda: self.stalled, flush=self._flush)
        self.runner = Runner(
            Job("r-1", "civic", None),
            cast("ReplayBook", book),
            cast("Publisher", publisher),
            cast("Archive", None),
            Limiter([], None, SystemClock()),
            Faults(None),
            Hurry(),
            lambda _: None,
        )

    def run(self) -> str:
        return self.runner.run(self._walk, threading.Event())

    def _walk(self, left: dict[int, tuple[int, int]]) -> Walk:
        return cast("Walk", SimpleNamespace(steps=lambda: self._steps(*left[0])))

    def _steps(self, begin: int, end: int) -> Iterator[Found | Reached]:
        self.walked_from.append(begin)
        for offset in range(begin, end):
            if offset:
                self._call("topic")
            yield Found(0, offset, topic_record(offset))
        yield Reached(0, end)

    def _call(self, service: str) -> None:
        if self._away[service] > 0:
            self._away[service] -= 1
            raise OutageError(service, "away")

    def _publish(self, messages: list[Any], on_done: Callable[[], None]) -> None:
        self.sent += messages
        if self._acknowledges:
            on_done()

    def _flush(self, _: float) -> None:
        self.stalled = "the producer has known no broker for 31 s"

    def _save(self, _: str, changed: list[PartitionProgress]) -> str:
        self._call("book")
        self.saved += changed
        return self.state

    def _turn(self, _: str, state: str, __: datetime) -> bool:
        self._call("book")
        self.state = state
        return True


def test_it_ends_while_it_waits_for_acknowledgements() -> None:
    bench = Bench()
    with pytest.raises(OutageError, match="no broker"):
        bench.run()
    assert len(bench.sent) == 3
    assert not bench.saved, "nothing is acknowledged"


def test_it_sends_nothing_more() -> None:
    bench = Bench()
    bench.stalled = "the producer has given no sign of life for 31 s"
    with pytest.raises(OutageError, match="no sign of life"):
        bench.run()
    assert not bench.sent


@pytest.mark.parametrize("service", ["book", "topic"])
def test_an_outage_is_waited_out_and_each_frame_sent_once(service: str) -> None:
    bench = Bench(acknowledges=True, away=Counter({service: 4}))
    assert bench.run() == PUBLISHED
    assert [dict(one.message.headers)["ce_id"] for one in bench.sent] == [b"e0", b"e1", b"e2"]
    assert bench.walked_from == ([0] if service == "book" else [0, 1, 1, 1, 1])
    assert sum(one.next_offset == 3 for one in bench.saved) >= 1
