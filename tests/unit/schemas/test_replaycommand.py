import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.errors import ReplayCode, ReplayError
from schemas.headers import Headers
from schemas.replay import REPLAY_ID
from schemas.replaycommand import (
    COMMAND_TYPE,
    MAX_COMMAND_BYTES,
    CommandName,
    ReplayAnswer,
    ReplayCommand,
    answer_message,
    name_of,
    parse_command,
)

HEADERS: Headers = [
    ("ce_specversion", b"1.0"), ("ce_type", COMMAND_TYPE.encode()), ("ce_id", b"c-1"), ("ce_source", b"/planner"),
]  # fmt: skip


def _parse(**fields: Any) -> ReplayCommand:
    return parse_command(HEADERS, json.dumps(fields).encode())


def _but(name: str, *values: bytes | None) -> Headers:
    return [pair for pair in HEADERS if pair[0] != name] + [(name, value) for value in values]


def test_a_command_with_everything() -> None:
    command = _parse(
        action="start", pipeline="civic", replay_id="r-1", rate=5, max_live_lag=0, max_backlog=0, requested_by="Ada",
        selection={"captured_from": "2026-03-01T08:00:00Z", "offsets": {"3": [100, 250]}, "cameras": ["/city/5"]},
        overrides={"with": "civic-legacy", "set": {"quality.pass_score": 70}, "models": {"detector": "a@1"}},
    )  # fmt: skip
    assert (command.rate, command.max_live_lag, command.max_backlog) == (5, 0, 0)
    assert command.selection is not None
    assert command.selection.offsets == {3: (100, 250)}
    assert command.overrides is not None
    assert (command.overrides.other, command.overrides.patches) == ("civic-legacy", {"quality.pass_score": 70})


def test_a_comparison_has_the_limits_that_are_given() -> None:
    command = _parse(action="compare", replay_id="r-1", baseline="r-0", at_most_lost=0.02, at_most_missing=0)
    assert (command.baseline, command.limits()) == ("r-0", {"lost": 0.02, "missing": 0.0})
    assert _parse(action="compare", replay_id="r-1").limits() == {}


def test_the_name_of_a_new_replay_follows_from_the_commands_id() -> None:
    one = name_of(HEADERS)
    assert one == CommandName("c-1", "/planner")
    assert REPLAY_ID.fullmatch(one.replay_id())
    assert one.replay_id() == CommandName("c-1", "/planner").replay_id() != CommandName("c-1", "/other").replay_id()


@pytest.mark.parametrize(
    "headers",
    [
        None, [], _but("ce_id"), _but("ce_id", None), _but("ce_id", b""), _but("ce_id", b"a", b"b"),
        _but("ce_source", b"\xff"), _but("ce_source", b"a\x00"), _but("ce_id", b"x" * 2000),
    ],
)  # fmt: skip
def test_without_a_name_nobody_can_be_answered(headers: Headers | None) -> None:
    assert name_of(headers) is None


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        (_but("ce_type", b"sightline.frame.v1"), b'{"action": "status", "replay_id": "a"}'),
        (_but("ce_specversion", b"0.3"), b'{"action": "status", "replay_id": "a"}'),
        ([*HEADERS, ("ce_time", b"\xff")], b'{"action": "status", "replay_id": "a"}'),
        (HEADERS, None),
        (HEADERS, b""),
        (HEADERS, b"\xff\x00"),
        (HEADERS, b"[]"),
        (HEADERS, b'{"action": "status", "replay_id": "\\ud800"}'),
        (HEADERS, b"[" * 100_000),
        (HEADERS, b" " * (MAX_COMMAND_BYTES + 1)),
    ],
)
def test_what_is_no_command_is_refused(headers: Headers, value: bytes | None) -> None:
    with pytest.raises(ReplayError) as caught:
        parse_command(headers, value)
    assert caught.value.code is ReplayCode.COMMAND_INVALID


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "dance"},
        {"action": "plan"},
        {"action": "start"},
        {"action": "pause"},
        {"action": "pause", "pipeline": "civic", "replay_id": "a"},
        {"action": "start", "pipeline": "../civic"},
        {"action": "start", "replay_id": "a", "selection": {}},
        {"action": "start", "pipeline": "civic", "replay_id": "A b"},
        {"action": "start", "pipeline": "civic", "rate": 0},
        {"action": "start", "pipeline": "civic", "selection": {"camera": ["/a"]}},
        {"action": "start", "pipeline": "civic", "selection": {"cameras": ["a\u0000"]}},
        {"action": "start", "pipeline": "civic", "selection": {"arrived_from": "0001-01-01T00:00:00+14:00"}},
        {"action": "start", "pipeline": "civic", "selection": {"offsets": {"0": [5, 5]}}},
        {"action": "start", "pipeline": "civic", "selection": {"offsets": {"0": [2**63, None]}}},
        {"action": "start", "pipeline": "civic", "overrides": {"with": "/etc/passwd"}},
        {"action": "status", "replay_id": "a", "rate": 1},
        {"action": "status", "replay_id": "a", "max_backlog": 1},
        {"action": "start", "pipeline": "civic", "max_backlog": -1},
        {"action": "status", "replay_id": "a", "partial": True},
        {"action": "compare"},
        {"action": "compare", "replay_id": "a", "baseline": "a"},
        {"action": "compare", "replay_id": "a", "partial": True},
        {"action": "compare", "replay_id": "a", "iou": 0},
        {"action": "compare", "replay_id": "a", "at_most_lost": 1.5},
        {"action": "compare", "replay_id": "a", "at_most_lost": "2%"},
        {"action": "promote", "replay_id": "a", "baseline": "b"},
        {"action": "promote", "replay_id": "a", "at_most_worse": 0},
        {"action": "promote", "replay_id": "a", "count_copies": True},
        {"action": "status", "replay_id": "a", "secret-word": 1},
    ],
)
def test_what_does_not_fit_is_refused_without_quoting_it(fields: dict[str, Any]) -> None:
    with pytest.raises(ReplayError) as caught:
        _parse(**fields)
    assert caught.value.code is ReplayCode.COMMAND_INVALID
    assert not any(word in caught.value.problem for word in ("dance", "secret-word", "passwd", "../civic"))


def test_an_answer_is_keyed_by_the_commands_id() -> None:
    answer = ReplayAnswer(
        command_id="c-1", command_source="/planner", action="status", outcome="done", replay_id="r", state="running",
        counts={"frames": 3}, answered_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    message = answer_message(answer, "k")
    assert (message.topic, message.key, dict(message.headers)["ce_id"]) == ("replay-answers", b"c-1", b"k")
    assert json.loads(message.value or b"")["counts"] == {"frames": 3}
