"""Other systems ask what a replay says otherwise, and whether limits are kept, by messages."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.planner import OtherSystem
from tests.integration.replaying import BROKEN, FRAMES, GOOD, Replaying, make_replaying, rows
from tests.services import S3, Kafka, Postgres
from tests.world import wait_for

pytestmark = pytest.mark.services


@pytest.fixture
def replaying(
    tmp_path_factory: pytest.TempPathFactory, kafka: Kafka, postgres: Postgres, s3: S3
) -> Iterator[Replaying]:
    with make_replaying(tmp_path_factory.mktemp("replaying"), kafka, postgres, s3) as made:
        yield made


def test_a_comparison_is_answered_with_its_figures_and_whether_limits_were_kept(replaying: Replaying) -> None:
    world = replaying.world
    other, serve = OtherSystem(world), world.start("replay", "serve")
    scores = sorted(body["score"] for body in rows(world, None).values())
    bar = scores[GOOD // 2] - 0.05  # scores have one decimal: none is just at it
    rejected = sum(score < bar for score in scores)
    assert 0 < rejected < GOOD
    start_one_that_waits_for_its_workers(replaying, other, bar)
    assert other.ask("early", action="compare", replay_id="hard") == ("refused", "replay_unanswered")
    replaying.answer_replays()
    assert other.ask("hardest", **start(other, "hardest", pass_score=100))[0] == "done"
    for replay_id in ("hard", "hardest"):
        replaying.answered(replay_id, FRAMES)
    wait_for(lambda: replaying.state("hard") == replaying.state("hardest") == "published", 30, "both know of it")

    share = rejected / GOOD
    assert other.ask("all", action="compare", replay_id="hard") == ("done", "published")
    assert other.ask("kept", action="compare", replay_id="hard", at_most_changed=share) == ("done", "published")
    tighter = {"at_most_changed": share - 1e-6, "at_most_lost": 0}
    assert other.ask("broken", action="compare", replay_id="hard", **tighter) == ("done", "published")
    answers = {name: other.answer(name) for name in ("all", "kept", "broken")}
    assert {name: one["limits_kept"] for name, one in answers.items()} == {"all": True, "kept": True, "broken": False}
    held = {limit["name"]: limit["held"] for limit in answers["broken"]["comparison"]["limits"]}
    assert held == {"changed": False, "lost": True}
    found = answers["all"]["comparison"]
    assert verdicts(found) == {("accepted", "rejected"): rejected, ("accepted", "accepted"): GOOD - rejected}
    assert (found["failed"], answers["all"]["counts"]["results"]) == (failed(replaying, "hard"), GOOD)
    by_hand = replaying.replay("compare", "hard")
    assert by_hand.pop("most_changed")
    assert found == by_hand

    assert other.ask("two", action="compare", replay_id="hard", baseline="hardest") == ("done", "published")
    assert verdicts(other.answer("two")["comparison"]) == {
        ("rejected", "rejected"): rejected,
        ("rejected", "accepted"): GOOD - rejected,
    }
    refused: dict[str, list[dict[str, Any]]] = {
        "replay_unknown": [{"replay_id": "none"}, {"replay_id": "hard", "baseline": "none"}],
        "command_invalid": [{"replay_id": "hard", "baseline": "hard"}, {"replay_id": "hard", "at_most_lost": 2}],
    }
    for code, commands in refused.items():
        for number, command in enumerate(commands):
            assert other.ask(f"{code} {number}", action="compare", **command) == ("refused", code)
    assert serve.wait_ready().terminate() == 0


def start_one_that_waits_for_its_workers(replaying: Replaying, other: OtherSystem, bar: float) -> None:
    """Start a replay that nobody answers: after a fifth of the frames it has to wait."""
    assert other.ask("hard", **start(other, "hard", pass_score=bar), rate=40, max_backlog=20) == ("done", "running")
    wait_for(lambda: replaying.sent("hard") > 20, 60, "first frames")
    time.sleep(3)  # in which all would be sent
    assert replaying.sent("hard") < FRAMES


def start(other: OtherSystem, replay_id: str, *, pass_score: float) -> dict[str, Any]:
    overrides = {"set": {"quality.pass_score": pass_score}}
    return {"action": "start", "pipeline": other.pipeline, "replay_id": replay_id, "overrides": overrides}


def verdicts(comparison: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(one["old"], one["new"]): one["frames"] for one in comparison["originals"]["verdicts"]}


def failed(replaying: Replaying, replay_id: str) -> dict[str, int]:
    codes = replaying.world.sql("SELECT code FROM dead_letters WHERE replay_id = :id", id=replay_id)
    assert len(codes) == BROKEN
    return dict(Counter(code for (code,) in codes))
