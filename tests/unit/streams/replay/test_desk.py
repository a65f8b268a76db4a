import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from schemas.errors import OutageError, ReplayCode, ReplayError
from schemas.replaycommand import CommandName, ReplayCommand
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sinks.postgres.replay_commands import CommandBox, CommandRow, DueReplay
from sinks.postgres.replays import PAUSED, PUBLISHED
from streams.publisher import Outgoing
from streams.replay.desk import Desk, Done
from streams.replay.runs import Runs
from tests.unit.streams.replay.samples import NOW

WAIT_S = 10


class _Box:
    """The inbox, in memory."""

    def __init__(self) -> None:
        self.rows: list[CommandRow] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.told: dict[str, datetime] = {}
        self.all_told = threading.Event()

    def add(self, command_id: str, replay_id: str, action: str = "status") -> None:
        body = json.dumps({"action": action, "replay_id": replay_id}).encode()
        self.rows.append(CommandRow(command_id, command_id, "/s", body, action, replay_id, None, None, None, NOW))

    def waiting(self, limit: int) -> list[CommandRow]:
        return [row for row in self.rows if row.key not in self.told][:limit]

    def find(self, key: str) -> CommandRow | None:
        return next((row for row in self.waiting(100) if row.key == key), None)

    def answer(self, key: str, answer: dict[str, Any]) -> None:
        self.answers[key] = answer

    def sent(self, key: str, now: datetime) -> None:
        self.told[key] = now
        if len(self.told) == len(self.rows):
            self.all_told.set()

    def due(self) -> list[DueReplay]:
        return []


class _Locks:
    @contextmanager
    def alone(self, replay_id: str) -> Iterator[bool]:
        yield bool(replay_id)


class _Topic:
    def __init__(self) -> None:
        self.published: list[str] = []

    def publish(self, messages: Sequence[Outgoing], on_done: Callable[[], None]) -> None:
        self.published += [(outgoing.message.key or b"").decode() for outgoing in messages]
        on_done()


@contextmanager
def _desk(box: _Box, carry_out: Callable[[CommandName, ReplayCommand], Done]) -> Iterator[_Topic]:
    topic, clock = _Topic(), SystemClock()
    runs = Runs(lambda *_: None, clock)
    desk = Desk(cast("CommandBox", box), _Locks(), carry_out, runs, topic, Faults(None), clock)
    thread = threading.Thread(target=desk.run)
    thread.start()
    try:
        yield topic
    finally:
        desk.stop()
        thread.join(WAIT_S)
    assert desk.unready() is None


def _done(command: ReplayCommand) -> Done:
    return Done(command.replay_id or "", "civic", "planned", {"frames": 1})


def test_commands_of_one_replay_keep_their_order_and_hold_up_no_other() -> None:
    box, order, other = _Box(), [], threading.Event()
    for command_id, replay_id in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        box.add(command_id, replay_id)

    def carry_out(name: CommandName, command: ReplayCommand) -> Done:
        if name.command_id == "a1":
            assert other.wait(WAIT_S)  # a long plan: the other replay's command is carried out meanwhile
        order.append(name.command_id)
        other.set()
        return _done(command)

    with _desk(box, carry_out) as topic:
        assert box.all_told.wait(WAIT_S)
    assert order == ["b1", "a1", "a2"]
    assert sorted(topic.published) == ["a1", "a2", "b1"]
    assert {answer["outcome"] for answer in box.answers.values()} == {"done"}


def test_an_outage_is_waited_out_a_refusal_and_a_bug_are_answered() -> None:
    box, tries = _Box(), []
    for command_id in ("away", "refused", "bug"):
        box.add(command_id, command_id)

    def carry_out(name: CommandName, command: ReplayCommand) -> Done:
        tries.append(name.command_id)
        if name.command_id == "away" and tries.count("away") < 2:
            raise OutageError("kafka", "made for a test")
        if name.command_id == "refused":
            raise ReplayError(ReplayCode.UNKNOWN, "refused", "there is none")
        if name.command_id == "bug":
            raise ValueError("made for a test")
        return _done(command)

    with _desk(box, carry_out):
        assert box.all_told.wait(WAIT_S)
    assert (tries.count("away"), tries.count("refused"), tries.count("bug")) == (2, 1, 3)
    codes = {key: answer.get("code") for key, answer in box.answers.items()}
    assert codes == {"away": None, "refused": "replay_unknown", "bug": "command_failed"}


def test_what_a_comparison_says_is_in_its_answer_with_all_that_is_null() -> None:
    box, said = _Box(), {"old_pipeline": None, "verdicts": [{"old": None, "new": "accepted", "frames": 1}]}
    box.add("a1", "a", "compare")

    def carry_out(_: CommandName, command: ReplayCommand) -> Done:
        return replace(_done(command), comparison=said, limits_kept=False)

    with _desk(box, carry_out):
        assert box.all_told.wait(WAIT_S)
    assert (box.answers["a1"]["comparison"], box.answers["a1"]["limits_kept"]) == (said, False)


def test_what_was_answered_before_the_end_is_only_told() -> None:
    box = _Box()
    box.add("a1", "a")
    answer = {"command_id": "a1", "command_source": "/s", "outcome": "done", "answered_at": "2026-03-01T12:00:00Z"}
    box.rows[0] = CommandRow("a1", "a1", "/s", b"", "status", "a", None, None, None, NOW, answer)

    def carry_out(_: CommandName, __: ReplayCommand) -> Done:
        raise AssertionError("it is carried out already")

    with _desk(box, carry_out) as topic:
        assert box.all_told.wait(WAIT_S)
    assert topic.published == ["a1"]
    assert box.answers == {}


def test_a_replay_has_one_run_and_a_rest_after_one_that_did_not_get_through() -> None:
    begun, go_on, states = [], threading.Semaphore(0), {"paused": PAUSED, "broken": None, "through": PUBLISHED}

    def run(due: DueReplay, stop: threading.Event) -> str | None:
        begun.append(due.replay_id)
        assert go_on.acquire(timeout=WAIT_S)
        assert not stop.is_set()
        if due.replay_id == "broken":
            raise OutageError("kafka", "made for a test")
        return states[due.replay_id]

    runs = Runs(run, SystemClock())
    due = [DueReplay(name, None, None, None) for name in states]
    runs.begin(due)
    runs.begin(due)
    go_on.release(3)
    runs.end()
    runs.begin(due)  # only the paused one may go on at once
    go_on.release(3)
    runs.end()
    assert sorted(begun) == ["broken", "paused", "paused", "through"]
    runs.stop()
    runs.begin([DueReplay("late", None, None, None)])
    assert "late" not in begun
