"""A run of a replay whose publisher is of no use any more ends; the next one goes on."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from schemas.errors import OutageError
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sinks.postgres.replays import RUNNING, PartitionProgress, ReplayBook
from streams.publisher import Publisher
from streams.replay.archive import Archive
from streams.replay.limiter import Limiter
from streams.replay.runner import Job, Runner
from streams.replay.walk import Found, Walk
from tests.unit.streams.replay.samples import topic_record


class Bench:
    """Three frames, a publisher that acknowledges none of them, and what is saved."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.saved: list[PartitionProgress] = []
        self.stalled: str | None = None
        begin = PartitionProgress(0, 0, 3, 0)
        book = SimpleNamespace(progress=lambda _: [begin], save=self._save)
        publisher = SimpleNamespace(publish=self._publish, stalled=lambda: self.stalled, flush=self._flush)
        self.runner = Runner(
            Job("r-1", "civic", None),
            cast("ReplayBook", book),
            cast("Publisher", publisher),
            cast("Archive", None),
            Limiter([], None, SystemClock()),
            Faults(None),
            SystemClock(),
            lambda _: None,
        )

    def run(self) -> str:
        walk = cast("Walk", SimpleNamespace(steps=self._steps))
        return self.runner.run(lambda _: walk, threading.Event())

    def _steps(self) -> Iterator[Found]:
        yield from (Found(0, offset, topic_record(offset)) for offset in range(3))

    def _publish(self, messages: list[Any], _: object) -> None:
        self.sent += messages

    def _flush(self, _: float) -> None:
        self.stalled = "the producer has known no broker for 31 s"

    def _save(self, _: str, changed: list[PartitionProgress]) -> str:
        self.saved += changed
        return RUNNING


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
