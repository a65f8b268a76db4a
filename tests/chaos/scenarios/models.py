"""Kills with models in the data path: every pipeline answers every frame once."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from schemas.activation import ModelAddress
from tests.audit import Evidence
from tests.chaos.keeper import Keeper
from tests.chaos.stage import Stage, forget_the_dead_sooner
from tests.chaos.traffic import VARIED_BROKEN_EVERY, VARIED_DRAWN_EVERY, flowing, varied
from tests.pictures import TEN_WAYS
from tests.scenes import put_models_in_force
from tests.world import World, define_pipeline

PIPELINES: Final = ("banana", "polyp", "deepfake", "gesture", "detect", "segment", "pose", "classify")
_POINTS = ("after-produce", "after-acknowledge")
_FRAMES_PER_S = 30  # of each pipeline


def killed(stage: Stage) -> None:
    """In each of the eight model pipelines the worker dies at a named point; then they and the sinks at random."""
    world = stage.world(PIPELINES[0])
    forget_the_dead_sooner(world)
    worlds = {PIPELINES[0]: world} | {like: _beside(world, like) for like in PIPELINES[1:]}
    names = [one.pipeline for one in worlds.values()]
    world.run("topics", "apply", *names, "--yes")
    addresses = {like: put_models_in_force(one, like) for like, one in worlds.items()}
    count = stage.size.frames // len(PIPELINES)
    doomed = {like: _doomed(stage, place, one) for place, (like, one) in enumerate(worlds.items())}
    sinks = [Keeper(world, "sink", kind, *names) for kind in ("postgres", "objects")]
    with ExitStack() as stack:
        flows = {
            like: stack.enter_context(flowing(one, count, count / _FRAMES_PER_S, varied))
            for like, one in worlds.items()
        }
        for like, (worker, point) in doomed.items():
            worker.wait_for_death(point)
            stage.fault(f"the worker of {like} died at {point}")
        everybody = [*(worker for worker, _ in doomed.values()), *sinks]
        while stage.outcome.faults < stage.size.faults:
            stage.pause(0.8, 2.4)
            victim = stage.chance.choice(everybody)
            victim.kill()
            stage.fault(f"kill -9 {victim.name}")
    for like, one in worlds.items():
        _judge(stage, like, stage.prove(one, flows[like].published), addresses[like])


def _beside(world: World, like: str) -> World:
    """Return the same world with another pipeline."""
    return replace(world, pipeline=define_pipeline(world.folder / "pipelines", like))


def _doomed(stage: Stage, place: int, world: World) -> tuple[Keeper, str]:
    point = f"{_POINTS[place % 2]}:{stage.chance.randint(1, 3)}"
    return Keeper(world, "worker", "--no-replay", world.pipeline, env={"SIGHTLINE_FAULT_POINT": point}), point


def _judge(stage: Stage, like: str, evidence: Evidence, addresses: Mapping[str, ModelAddress]) -> None:
    count = len(evidence.published)
    wanted = Counter(TEN_WAYS[number % len(TEN_WAYS)].code for number in range(-(-count // VARIED_BROKEN_EVERY)))
    if Counter({letter.dl_id: letter.code for letter in evidence.topic_letters}.values()) != wanted:
        stage.outcome.find(f"miscalled: dead letters of {like} have other codes than their frames earn")
    digests = {role: address.digest for role, address in addresses.items()}
    for result in evidence.topic_results:
        if result["kind"] != "frame" or {one["role"]: one["digest"] for one in result["models"]} != digests:
            stage.outcome.find(f"changed: result {result['result_id']} of {like} is of another model or kind")
    overlays = {key for key, _ in evidence.artifact_rows if key.startswith("overlays/")}
    if len(overlays) < count // VARIED_DRAWN_EVERY // 2:
        stage.outcome.find(f"missing: {len(overlays)} overlays of {like}")
