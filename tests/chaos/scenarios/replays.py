"""A replay is killed again and again, and with it those who answer it."""

import json
import signal
import subprocess
from collections import Counter
from typing import Any

from schemas import topics
from tests.chaos.keeper import Keeper, start_kept
from tests.chaos.stage import Stage, forget_the_dead_sooner
from tests.chaos.traffic import publish
from tests.integration.planner import OtherSystem
from tests.world import SIGHTLINE, World, wait_for

_ID = "killed"
_POINTS = ("replay-acknowledged", "replay-saved")
# What differs between two runs over the same frame without the answer being another one.
_OWN = {"result_id", "replay_id", "processed_at", "timings_ms"}


def killed(stage: Stage) -> None:
    """A replay dies at named points and at random, workers and sinks too; each row stands once, saying the same."""
    world = stage.world()
    forget_the_dead_sooner(world)
    kept = start_kept(world, workers=2, replays=True)
    published = publish(world, stage.size.frames)
    world.wait_for_rows(len(published))
    _plan(stage, world)
    rate = max(50, stage.size.frames // stage.size.faults)
    for number in range(stage.size.faults):
        if number % 4 == 3:
            one = stage.chance.choice(kept)
            one.kill()
            stage.fault(f"kill -9 {one.name} while a replay is on")
        elif number % 4 == 2:
            _die_at_random(stage, world, rate)
        else:
            # The saves come twice a second, the acknowledgements with every frame.
            point = f"{_POINTS[number % 2]}:{stage.chance.randint(1, 2 if number % 2 else rate // 2)}"
            _die_at(stage, world, point, rate)
    world.run("replay", "resume", _ID, "--max-live-lag", "0", "--json")
    wait_for(lambda: _answers(world) >= len(published), 180, "every replayed frame has its row")
    _compare(stage, world)
    stage.outcome.repeats += world.count(topics.frames_replay(world.pipeline)) - len(published)
    stage.prove(world, published)


def _plan(stage: Stage, world: World) -> None:
    """Ask for a plan as other systems do, of a desk that dies once it has made it and before it has answered."""
    desk = Keeper(world, "replay", "serve", env={"SIGHTLINE_FAULT_POINT": "replay-command-done:1"})
    desk.running.wait_ready(60)
    other = OtherSystem(world)
    other.send("plan", {"action": "plan", "pipeline": world.pipeline, "replay_id": _ID})
    desk.wait_for_death("replay-command-done")
    stage.fault("the desk of replays died at replay-command-done")
    answer = other.answer("plan")
    if (answer["outcome"], answer.get("replay_id")) != ("done", _ID):
        stage.outcome.find(f"refused: the plan that was made before the desk died: {answer}")
    desk.end()


def _resume(world: World, rate: int, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [SIGHTLINE, "replay", "resume", _ID, "--rate", str(rate)]
    return subprocess.Popen(command, env={**world.env, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _die_at(stage: Stage, world: World, point: str, rate: int) -> None:
    replay = _resume(world, rate, {"SIGHTLINE_FAULT_POINT": point})
    if replay.wait(60) == -signal.SIGKILL:
        stage.fault(f"the replay died at {point}")
    else:
        stage.outcome.find(f"alive: the replay ended with {replay.returncode} before {point}")


def _die_at_random(stage: Stage, world: World, rate: int) -> None:
    before = _sent(world)
    replay = _resume(world, rate, {})
    wait_for(lambda: _sent(world) > before or replay.poll() is not None, 60, "the replay goes on")
    stage.pause(0.0, 0.7)
    replay.kill()
    replay.wait()
    stage.fault("kill -9 the replay")


def _sent(world: World) -> int:
    return world.count(topics.frames_replay(world.pipeline))


def _answers(world: World) -> int:
    found = world.sql(
        "SELECT (SELECT count(*) FROM results WHERE replay_id = :id) +"
        " (SELECT count(*) FROM dead_letters WHERE replay_id = :id)",
        id=_ID,
    )
    return int(found[0][0])


def _compare(stage: Stage, world: World) -> None:
    """The replay has one row for each live one, and says what that says."""
    live, again = _rows(stage, world, None), _rows(stage, world, _ID)
    for frame in live.keys() - again.keys():
        stage.outcome.find(f"lost: frame {frame} has no row of the replay")
    for frame in again.keys() - live.keys():
        stage.outcome.find(f"made up: frame {frame} has a row of the replay and no live one")
    for frame in live.keys() & again.keys():
        if live[frame] != again[frame]:
            stage.outcome.find(f"changed: the replay says otherwise of frame {frame}")
    letters = [
        Counter(code for (code,) in world.sql(f"SELECT code FROM dead_letters WHERE replay_id {which}"))
        for which in ("IS NULL", "IS NOT NULL")
    ]
    if letters[0] != letters[1]:
        stage.outcome.find(f"lost: dead letters {json.dumps(letters)}")


def _rows(stage: Stage, world: World, replay_id: str | None) -> dict[str, dict[str, Any]]:
    which = "replay_id IS NULL" if replay_id is None else "replay_id = :replay_id"
    found = world.sql(f"SELECT frame_id::text, body FROM results WHERE {which}", replay_id=replay_id)
    for frame, count in Counter(frame for frame, _ in found).items():
        if count > 1:
            stage.outcome.find(f"double: frame {frame} has {count} rows of {replay_id or 'live results'}")
    return {frame: {name: part for name, part in body.items() if name not in _OWN} for frame, body in found}
