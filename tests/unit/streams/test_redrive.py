"""The order of a redrive's steps, its batches and its rate; what the services do is faked."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from schemas.errors import OutageError
from schemas.frame import Origin
from schemas.message import Message
from sightline.runtime.faults import Faults
from sightline.runtime.settings import KafkaSettings
from sinks.postgres.deadletter_actions import Intent, Outcome
from streams import redrive
from streams.redrive import Limits, Redrive, Services
from streams.redrive_plan import Handled, Original, plan_redrive
from streams.redrive_send import RefusedError


class _Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.time_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.time_s += timeout_s
        return event.is_set()


class _World:
    """All that a redrive touches; `log` has the steps in their order."""

    def __init__(self, count: int) -> None:
        self.clock = _Clock()
        self.log: list[str] = []
        self.rows = {f"d{number}": self._row(number) for number in range(count)}
        self.sent: list[list[bytes | None]] = []
        self.sent_at: list[float] = []
        self.refused: set[bytes] = set()
        self.taken: set[str] = set()
        self.failing: dict[str, int] = {}

    @staticmethod
    def _row(number: int) -> dict[str, Any]:
        return {
            "dl_id": f"d{number}", "pipeline": "civic", "state": "open", "attempt": 1, "headers_lost": False,
            "origin_topic": "frames.civic", "value": f"v{number}".encode(),
        }  # fmt: skip

    # The database.

    @contextmanager
    def lock(self, *_: Any) -> Iterator[None]:
        self.log.append("lock")
        yield

    def settle(self, *_: Any) -> list[Any]:
        self.log.append("settle")
        return []

    def read_rows(self, _: Any, dl_ids: Sequence[str]) -> list[dict[str, Any]]:
        return [self.rows[dl_id] for dl_id in dl_ids]

    def begin(self, _: Any, __: str, actor: str, intents: Sequence[Intent], states: Sequence[str]) -> set[str]:
        self._maybe_fail("begin")
        assert (actor, states) == ("anna", ("open",))
        self.log.append("begin")
        return {intent.dl_id for intent in intents} - self.taken

    def place(self, _: Any, __: str, places: dict[str, Origin]) -> None:
        self.log.append("place")
        assert all(place.topic == "frames.civic" for place in places.values())

    def end(self, _: Any, __: str, outcome: Outcome) -> None:
        self._maybe_fail("end")
        self.log.append(outcome.value)

    # Kafka.

    def fence(self) -> None:
        self.log.append("fence")

    def knows(self, topic: str) -> bool:
        return topic == "frames.civic"

    def find(self, row: dict[str, Any]) -> Original | None:
        return None if row["value"] is None else Original(b"k", row["value"], [], [], row["value"])

    def send(self, messages: Sequence[Message]) -> list[Origin]:
        refused = {place: "MSG_SIZE_TOO_LARGE" for place, one in enumerate(messages) if one.value in self.refused}
        self.log.append("refused" if refused else "send")
        if refused:
            raise RefusedError(refused)
        self.sent.append([message.value for message in messages])
        self.sent_at.append(self.clock.time_s)
        return [Origin(message.topic, 0, place) for place, message in enumerate(messages)]

    def commit(self) -> None:
        self._maybe_fail("commit")
        self.log.append("commit")

    def close(self) -> None:
        pass

    def _maybe_fail(self, what: str) -> None:
        if self.failing.get(what, 0) > 0:
            self.failing[what] -= 1
            raise OutageError("a service", what)


def _run(world: _World, monkeypatch: pytest.MonkeyPatch, rate: float = 1000) -> list[Handled]:
    for name, fake in {
        "pipeline_lock": world.lock, "settle_sent": world.settle, "read_dead_letters": world.read_rows,
        "begin_actions": world.begin, "place_actions": world.place, "end_actions": world.end,
        "Sender": lambda *_: world, "RecordReader": lambda *_: world, "Originals": lambda *_: world,
    }.items():  # fmt: skip
        monkeypatch.setattr(redrive, name, fake)
    services = Services(cast("Engine", None), KafkaSettings(), None, world.clock, Faults(None))
    limits = Limits("anna", ("open",), rate, 15)
    one = Redrive(services, limits, "civic", lambda row: plan_redrive(row, 5), lambda _: None)
    return list(one.run(list(world.rows)))


def _reasons(handled: Sequence[Handled]) -> dict[str, str | None]:
    return {one.step.dl_id: one.step.reason for one in handled if one.step.action is None}


def test_the_steps_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(2)
    handled = _run(world, monkeypatch)
    assert world.log == ["lock", "fence", "settle", "begin", "send", "place", "commit", "done"]
    assert [one.place for one in handled] == [Origin("frames.civic", 0, 0), Origin("frames.civic", 0, 1)]


def test_nothing_chosen_still_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(0)
    assert _run(world, monkeypatch) == []
    assert world.log == ["lock", "fence", "settle"]


def test_a_commit_that_fails_leaves_the_claim_for_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(1)
    world.failing = {"commit": 1}
    with pytest.raises(OutageError):
        _run(world, monkeypatch)
    assert world.log[-2:] == ["send", "place"]


def test_a_short_outage_of_the_database_after_the_commit_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(1)
    world.failing = {"begin": 2, "end": 3}
    assert len(_run(world, monkeypatch)) == 1
    assert world.log[-2:] == ["commit", "done"]


def test_batches_are_bounded_by_count_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(250)
    _run(world, monkeypatch)
    assert [len(batch) for batch in world.sent] == [100, 100, 50]
    slow = _World(7)
    _run(slow, monkeypatch, rate=2.5)
    assert [len(batch) for batch in slow.sent] == [2, 2, 2, 1]
    assert slow.sent_at == pytest.approx([0, 0.8, 1.6, 2.4])


def test_large_values_go_in_batches_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(4)
    for row in world.rows.values():
        row["value"] = bytes(5 * 1024 * 1024)
    _run(world, monkeypatch)
    assert [len(batch) for batch in world.sent] == [2, 2]


def test_what_the_broker_refuses_is_left_and_its_neighbours_go(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(4)
    world.refused = {b"v1", b"v2"}
    handled = _run(world, monkeypatch)
    assert _reasons(handled) == dict.fromkeys(["d1", "d2"], "frames.civic refuses it: MSG_SIZE_TOO_LARGE")
    assert world.sent == [[b"v0", b"v3"]]
    assert world.log.count("undone") == 3


def test_what_cannot_be_sent_says_why_and_the_others_go(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _World(6)
    world.rows["d0"]["value"] = None
    world.rows["d1"]["origin_topic"] = "results.civic"
    world.rows["d2"]["headers_lost"] = True
    world.rows["d3"]["state"] = "resolved"  # since it was chosen
    world.taken = {"d4"}
    handled = _run(world, monkeypatch)
    assert _reasons(handled).keys() == {"d0", "d1", "d2", "d4"}
    assert world.sent == [[b"v5"]]
