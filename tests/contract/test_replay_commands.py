"""The inbox of commands for replays: each once, with how far it is read, until its answer is sent."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from sinks.postgres.replay_commands import CommandBox, CommandRow, DueReplay, Receipt
from sinks.postgres.replays import RUNNING, ReplayBook, ReplayRow
from tests.unit.sinks.samples import NOW

pytestmark = pytest.mark.services
TOPIC = "replay-commands"
START = CommandRow("k1", "c1", "/planner", b"{}", "start", "r-1", 5.0, 7, 8, NOW)


def test_a_command_is_written_down_once_and_read_on_behind_it(engine: Engine) -> None:
    box = CommandBox(engine)
    assert box.positions(TOPIC) == {}
    assert box.receive(START, (TOPIC, 0), 4) is Receipt.NEW
    assert box.receive(START, (TOPIC, 0), 2) is Receipt.REPEATED  # read again: the position does not go back
    assert box.receive(replace(START, body=None), (TOPIC, 0), 5) is Receipt.REUSED
    assert box.receive(None, (TOPIC, 1), 9) is None
    assert box.positions(TOPIC) == {0: 5, 1: 9}
    box.reset(TOPIC, 1, 3)
    assert box.positions(TOPIC) == {0: 5, 1: 3}
    assert box.waiting(10) == [START]


def test_it_waits_until_its_answer_is_sent_and_the_first_answer_stays(engine: Engine) -> None:
    box, later = CommandBox(engine), replace(START, key="k0", action="pause", rate=None, max_live_lag=None)
    for offset, row in enumerate((START, later)):
        box.receive(row, (TOPIC, 0), offset + 1)
    box.answer("k1", {"outcome": "done"})
    box.answer("k1", {"outcome": "refused"})
    assert [(row.key, row.answer) for row in box.waiting(10)] == [("k1", {"outcome": "done"}), ("k0", None)]
    box.sent("k1", NOW)
    assert box.find("k1") is None
    assert box.find("k0") == later
    assert [row.key for row in box.waiting(10)] == ["k0"]


def test_only_replays_that_a_command_was_let_start_go_on_at_the_newest_pace(engine: Engine) -> None:
    box, book = CommandBox(engine), ReplayBook(engine)
    for name in ("r-1", "by-hand", "refused"):
        book.create(ReplayRow(name, "civic", "planned", {}, {}, None, None, None, "me", NOW), [])
        book.turn(name, RUNNING, NOW)
    faster = replace(START, key="k2", action="resume", rate=9.0, max_live_lag=None, max_backlog=50)
    commands = (
        (START, "done"), (faster, "done"),
        (replace(START, key="k3", action="resume", rate=1.0), None),
        (replace(START, key="k4", replay_id="refused"), "refused"),
    )  # fmt: skip
    for offset, (row, outcome) in enumerate(commands):
        box.receive(row, (TOPIC, 0), offset + 1)
        if outcome is not None:
            box.answer(row.key, {"outcome": outcome})
    assert box.due() == [DueReplay("r-1", 9.0, None, 50)]
