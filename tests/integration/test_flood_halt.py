"""Floods of dead letters: one camera's goes on, everybody's halts the worker until it may go on."""

import json
import time

import pytest

from schemas import topics
from tests.pictures import headers, jpeg, truncated_jpeg
from tests.world import Published, World, wait_for

pytestmark = pytest.mark.services
COUNT = 40


def _settings(**more: str) -> dict[str, str]:
    return {"SIGHTLINE_WORKER_FLOOD_COUNT": str(COUNT), **more}


def _alerts(world: World) -> list[dict[str, object]]:
    alerts = world.alerts()
    return [alert for alert in alerts if alert.get("pipeline") == world.pipeline]


def _poison(world: World, count: int, sources: int, name: str) -> list[Published]:
    return world.publish((truncated_jpeg(n), headers(f"{name}{n}", f"/cameras/{n % sources}")) for n in range(count))


def _good(world: World, count: int, name: str) -> list[Published]:
    return world.publish((jpeg(n), headers(f"{name}{n}", f"/cameras/{n % 12}")) for n in range(count))


def test_a_common_cause_halts_until_newer_frames_succeed(world: World) -> None:
    """The halt outlasts what the group waits for a member that is silent, and the worker stays one."""
    config, group = world.folder / "sightline.yaml", topics.group("worker", world.pipeline)
    config.write_text("kafka: {properties: {max.poll.interval.ms: 10000, session.timeout.ms: 6000}}\n")
    worker = world.start_worker(_settings(SIGHTLINE_CONFIG=str(config)))
    _good(world, 60, "before")
    _poison(world, 200, 24, "poison")
    wait_for(lambda: "halted" in worker.get("/health/ready")[1], 60, "not ready")
    assert "picture_truncated" in worker.get("/health/ready")[1]
    for _ in range(12):
        time.sleep(1)
        assert (worker.get("/health/live")[0], worker.ready()) == (200, False)
    # What was judged when the halt was decided is not published; nor is anything after it.
    assert len(world.dead_letters()) < COUNT + 32
    assert worker.metric("sightline_paused", group=group) == 1
    assert worker.metric("sightline_partitions", group=group) == len(world.partitions(topics.frames(world.pipeline)))
    assert worker.metric("sightline_halted") == 1
    [alert] = _alerts(world)
    assert (alert["rule"], alert["severity"]) == ("flood-halt", "critical")
    _good(world, 40, "after")
    wait_for(lambda: len(world.results()) >= 100 and len(world.dead_letters()) >= 200, 120, "all answered", 0.5)
    assert {result["event_id"] for result in world.results()} == {
        *(f"before{n}" for n in range(60)), *(f"after{n}" for n in range(40)),
    }  # fmt: skip
    assert (len(world.results()), len(world.dead_letters())) == (100, 200)
    assert worker.metric("sightline_halted") == 0
    assert worker.metric("sightline_evictions_total", group=group) == 0  # a silent one hears of it with its next poll
    assert worker.metric("sightline_rebalances_total", group=group, kind="lost") == 0
    wait_for(worker.ready, 10, "ready again")


def test_one_camera_alerts_and_everybody_goes_on(world: World) -> None:
    worker = world.start_worker(_settings())
    poison = [(truncated_jpeg(n), headers(f"p{n}", f"/cameras/bad/{n % 3}")) for n in range(150)]
    good = [(jpeg(n), headers(f"g{n}", f"/cameras/{n % 12}")) for n in range(50)]
    world.publish([*poison[:100], *good, *poison[100:]])
    wait_for(lambda: len(world.dead_letters()) == 150 and len(world.results()) == 50, 60, "all answered")
    assert worker.metric("sightline_halted") == 0
    assert worker.metric("sightline_floods_total", kind="few_sources") >= 1
    wait_for(lambda: _alerts(world), 10, "an alert")
    assert {alert["rule"] for alert in _alerts(world)} == {"dead-letter-flood"}
    assert all(str(alert["source"]).rsplit("|", 1)[1].startswith("/cameras/bad/") for alert in _alerts(world))
    # Switched off, what comes from everywhere drains too.
    assert worker.terminate() == 0
    worker = world.start_worker(_settings(SIGHTLINE_WORKER_FLOOD_HALT="false"))
    _poison(world, 150, 24, "poison")
    wait_for(lambda: len(world.dead_letters()) == 300, 60, "all are dead letters")
    assert worker.metric("sightline_halted") == 0


def test_what_failed_for_our_sake_is_answered_once_the_cause_is_gone(world: World) -> None:
    """A release that refuses every photo halts; the corrected one has all but a few of them as results."""
    definition = world.folder / "pipelines" / f"{world.pipeline}.yaml"
    right = definition.read_text(encoding="utf-8")
    definition.write_text(right.replace("max_bytes: 33554432", "max_bytes: 100"), encoding="utf-8")
    broken = world.start_worker(_settings())
    _good(world, 300, "e")
    wait_for(lambda: broken.metric("sightline_halted") == 1, 60, "halted")
    assert broken.terminate() == 0
    blamed = len(world.dead_letters())
    assert blamed < COUNT + 32
    definition.write_text(right, encoding="utf-8")
    world.start_worker(_settings())
    wait_for(lambda: len(world.results()) == 300 - blamed, 60, "the others are answered")
    assert len(world.dead_letters()) == blamed


def test_a_replay_halts_apart_from_live_frames_until_it_is_cancelled(world: World) -> None:
    """Exactly once too: each of its frames has one answer, a dead letter or a skipped result."""
    worker = world.start_worker(_settings(SIGHTLINE_WORKER_DELIVERY="exactly-once"))
    _good(world, 120, "e")
    wait_for(lambda: len(world.results()) == 120, 60, "live results")
    world.run("replay", "start", world.pipeline, "--id", "wrong", "--set", "input.max_bytes=100")
    wait_for(lambda: worker.metric("sightline_halted", pipeline=f"{world.pipeline}.replay") == 1, 60, "halted")
    group = topics.group("worker-replay", world.pipeline)
    [alert] = _alerts(world)
    assert (alert["rule"], str(alert["source"]).split("|")[0]) == ("flood-halt", group)
    assert worker.ready()
    _good(world, 20, "live")
    wait_for(lambda: len(world.results()) == 140, 30, "live results go on")
    blamed = len(world.dead_letters())
    assert blamed < COUNT + 32
    world.run("replay", "cancel", "wrong")
    answers = topics.results_replay(world.pipeline)
    wait_for(lambda: len(world.read(answers)) == 120 - blamed, 60, "the others are skipped")
    kinds = {json.loads(message.value() or b"")["kind"] for message in world.read(answers)}
    assert (kinds, len(world.dead_letters())) == ({"skipped"}, blamed)
    assert worker.metric("sightline_transactions_total", group=group, outcome="committed") >= 1
    assert worker.metric("sightline_halted") == 0
