"""Kill -9 of every process of the data path."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from schemas import topics
from tests.chaos.keeper import Keeper, start_kept
from tests.chaos.stage import Stage, forget_the_dead_sooner
from tests.chaos.traffic import flowing, publish
from tests.world import Published, Running, World, wait_for

_FRAMES_PER_S = 900
_LEAST_S = 1.0  # between two kills: a process wants to have begun
_POINTS = 7


def at_random(stage: Stage) -> None:
    """Two workers and both sinks are killed at random, whole or the worker's child alone, while frames flow."""
    world = stage.world()
    forget_the_dead_sooner(world)
    kept = start_kept(world, workers=2)
    seconds = max(stage.size.frames / _FRAMES_PER_S, stage.size.faults * _LEAST_S)
    between_s = seconds / stage.size.faults
    with flowing(world, stage.size.frames, seconds) as flow:
        for number in range(stage.size.faults):
            stage.pause(between_s * 0.5, between_s * 1.5)
            # Everybody in turn is not left to chance, the order and the moment are.
            one = kept[number % len(kept)] if number < len(kept) else stage.chance.choice(kept)
            if one.name == "worker" and stage.chance.random() < 0.5:
                one.kill_child()
                stage.fault("kill -9 the child of a worker")
            else:
                one.kill()
                stage.fault(f"kill -9 {one.name}")
    stage.prove(world, flow.published)


def at_named_points(stage: Stage) -> None:
    """Each process dies in each window where a crash could lose or double.

    Where fewer faults are asked for, those of transactions are left to tests/integration/test_exactly_once.py.
    """
    world = stage.world()
    forget_the_dead_sooner(world)
    rounds = max(1, stage.size.faults // _POINTS)
    with_transactions = stage.size.faults >= _POINTS
    count = math.ceil(stage.size.frames / rounds / (3 if with_transactions else 2))
    published: list[Published] = []
    firmly: set[tuple[str, int, int]] = set()
    for number in range(rounds):
        start = number * 300_000
        kept = _at_least_once(stage, world, published, partial(publish, world, count, start=start))
        _in_revoke(stage, world, published, kept, partial(publish, world, count, start=start + 100_000))
        if not with_transactions:
            break
        _end(world, kept)
        firmly |= _exactly_once(stage, world, published, partial(publish, world, count, start=start + 200_000))
    else:
        start_kept(world)
    evidence = stage.prove(world, published)
    answers = Counter(result["frame_id"] for result in evidence.topic_results if place_of(result) in firmly)
    for frame, copies in answers.items():
        if copies > 1:
            stage.outcome.find(f"double: frame {frame} has {copies} committed results, with exactly-once delivery")


Publish = Callable[[], list[Published]]


def _doomed(world: World, point: str, *arguments: str) -> tuple[Keeper, str]:
    return Keeper(world, *arguments, world.pipeline, env={"SIGHTLINE_FAULT_POINT": point}), point


def _see_them_die(stage: Stage, doomed: Sequence[tuple[Keeper, str]]) -> list[Keeper]:
    for keeper, point in doomed:
        keeper.wait_for_death(point)
        stage.fault(f"{keeper.name} died at {point}")
    return [keeper for keeper, _ in doomed]


def _any_pass(stage: Stage, point: str, most: int) -> str:
    return f"{point}:{stage.chance.randint(1, most)}"


def _at_least_once(stage: Stage, world: World, published: list[Published], send: Publish) -> list[Keeper]:
    world.env.pop("SIGHTLINE_WORKER_DELIVERY", None)
    published += send()
    doomed = [
        _doomed(world, _any_pass(stage, "after-produce", 3), "worker"),
        _doomed(world, _any_pass(stage, "after-acknowledge", 3), "worker"),
        _doomed(world, "after-database:1", "sink", "postgres"),
        _doomed(world, "after-object:1", "sink", "objects"),
    ]
    return _see_them_die(stage, doomed)


def _in_revoke(stage: Stage, world: World, published: list[Published], kept: list[Keeper], send: Publish) -> None:
    doomed = _doomed(world, "in-revoke:1", "worker")
    worker = doomed[0].running
    wait_for(lambda: _so_or_dead(worker, worker.ready), 60, "its share of the partitions")
    published += send()
    wait_for(lambda: _so_or_dead(worker, lambda: worker.metric("sightline_records_read_total") > 0), 60, "work in hand")
    another = Keeper(world, "worker", world.pipeline)  # it joins the group, which takes partitions from the others
    kept += [*_see_them_die(stage, [doomed]), another]


def _so_or_dead(worker: Running, condition: Callable[[], bool]) -> bool:
    """Tell whether something is so; also of a worker that the end of another member has killed in a revoke already."""
    try:
        return condition()
    except OSError:
        return worker.process.poll() is not None


def _exactly_once(stage: Stage, world: World, published: list[Published], send: Publish) -> set[tuple[str, int, int]]:
    """Return where the frames lie that must have one committed answer, also on the topic."""
    world.env["SIGHTLINE_WORKER_DELIVERY"] = "exactly-once"
    sent = send()
    published += sent
    points = ("in-transaction", "before-commit")
    _end(world, _see_them_die(stage, [_doomed(world, _any_pass(stage, point, 3), "worker") for point in points]))
    return {frame.origin for frame in sent}


def _end(world: World, kept: Sequence[Keeper]) -> None:
    """End everybody once all frames are answered: whoever stays would take the frames of the next ones to die."""
    world.wait_for_lag(topics.group("worker", world.pipeline), [topics.frames(world.pipeline)])
    for keeper in kept:
        keeper.end()


def place_of(result: dict[str, Any]) -> tuple[str, int, int]:
    """Return where the frame of a result lies."""
    origin = result["origin"]
    return origin["topic"], origin["partition"], origin["offset"]
