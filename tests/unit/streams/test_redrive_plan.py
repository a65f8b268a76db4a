"""Where a dead letter goes, and what is sent there."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.deadletter import Failed, dead_letter_message, original_headers, parse_dead_letter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.replay import Replayed, replay_headers
from sinks.postgres.deadletter_actions import Action
from streams.redrive_plan import Original, Step, plan_park, plan_redrive, step_message

HEADERS: Headers = [("ce_id", b"1"), ("odd", b"\xff"), ("odd", None)]


def row(**changes: Any) -> dict[str, Any]:
    return {
        "dl_id": "d1", "pipeline": "civic", "state": "open", "attempt": 1, "headers_lost": False,
        "origin_topic": "frames.civic", **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    "topic", ["frames.civic", "frames.civic.replay", "results.civic", "artifacts.civic", "alerts", "emr.civic"]
)
def test_it_goes_where_it_came_from(topic: str) -> None:
    assert plan_redrive(row(origin_topic=topic), 5) == Step("d1", Action.REDRIVE, topic, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "purged"},
        {"headers_lost": True},
        {"origin_topic": None},
        {"origin_topic": "frames.banana"},
        {"origin_topic": "models.civic.detector"},
        {"origin_topic": "replays.civic"},
        {"origin_topic": "deadletters.civic"},
        {"origin_topic": "deadletters.civic.parked"},
        {"origin_topic": "__consumer_offsets"},
        {"attempt": 5, "state": "parked"},
    ],
)
def test_what_can_go_nowhere_says_why(changes: dict[str, Any]) -> None:
    step = plan_redrive(row(**changes), 5)
    assert step.action is None
    assert step.reason


def test_attempts_are_counted_and_at_the_most_it_is_parked() -> None:
    assert plan_redrive(row(attempt=4), 5).attempt == 5
    given_up = plan_redrive(row(attempt=5), 5)
    assert (given_up.action, given_up.topic) == (Action.PARK, "deadletters.civic.parked")
    assert plan_redrive(row(attempt=5, state="parked"), 6).action is Action.REDRIVE
    assert plan_redrive(row(attempt=None), 5).attempt == 2
    assert plan_redrive(row(attempt=2**31 - 1), 2**31).attempt == 2**31 - 1


def test_parking_takes_what_lies_open() -> None:
    assert plan_park(row()).topic == "deadletters.civic.parked"
    assert plan_park(row(state="redriven")).action is Action.PARK
    assert plan_park(row(state="parked")).action is None
    assert plan_park(row(state="purged")).action is None


def _original(headers: Headers, value: bytes | None = b"v", topic: str = "frames.civic") -> Original:
    failed = Failed(b"k", value, headers, Origin(topic, 0, 1), 1000)
    error = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "why")
    letter = dead_letter_message("civic", failed, error, now=datetime(2026, 3, 1, tzinfo=UTC), worker="w")
    return Original(letter.key, value, original_headers(letter.headers), letter.headers, letter.value)


def test_a_redrive_takes_the_last_block_away_and_says_which_attempt_this_is() -> None:
    message = step_message(plan_redrive(row(), 5), _original(HEADERS))
    assert (message.topic, message.key, message.value) == ("frames.civic", b"k", b"v")
    assert message.headers == [*HEADERS, ("sightline_attempt", b"2"), ("sightline_dl_id", b"d1")]


def test_a_second_redrive_replaces_what_the_first_said() -> None:
    first = step_message(plan_redrive(row(), 5), _original(HEADERS))
    again = step_message(plan_redrive(row(dl_id="d2", attempt=2), 5), _original(first.headers))
    assert again.headers == [*HEADERS, ("sightline_attempt", b"3"), ("sightline_dl_id", b"d2")]


def test_what_fails_again_counts_on() -> None:
    message = step_message(plan_redrive(row(attempt=2), 5), _original(HEADERS))
    assert parse_dead_letter(_original(message.headers).all_headers).attempt == 3


def test_a_dead_letter_that_was_put_back_by_hand_counts_on_too() -> None:
    inner = _original(HEADERS).all_headers
    assert parse_dead_letter(_original(inner).all_headers).attempt == 2
    message = step_message(plan_redrive(row(attempt=2), 5), _original(inner))
    assert message.headers[:-2] == inner
    assert parse_dead_letter(_original(message.headers).all_headers).attempt == 3


def test_a_replayed_frame_that_fails_again_is_another_dead_letter() -> None:
    """By its first place, which is what else names the failures of a replay, it would be the one that it was."""
    replayed = replay_headers(Replayed("r1", Origin("frames.civic", 0, 1), 1000))
    first = _original([*HEADERS, *replayed], topic="frames.civic.replay")
    again = step_message(plan_redrive(row(origin_topic="frames.civic.replay"), 5), first)
    failed = _original(again.headers, topic="frames.civic.replay")
    assert parse_dead_letter(failed.all_headers).dl_id != parse_dead_letter(first.all_headers).dl_id


def test_parking_changes_nothing() -> None:
    original = _original(HEADERS)
    message = step_message(plan_park(row()), original)
    assert (message.key, message.value, message.headers) == (original.key, b"v", original.all_headers)
    offloaded = Original(b"k", b"fetched", HEADERS, HEADERS, None)
    assert step_message(plan_park(row()), offloaded).value is None
    assert step_message(plan_redrive(row(), 5), offloaded).value == b"fetched"
