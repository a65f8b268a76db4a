"""Kills and outages with models in the data path: every pipeline answers every frame once."""

import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
import yaml

from schemas.headers import Headers
from tests.audit import assert_sound
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.scenes import LEFT, SEEN, put_models_in_force
from tests.services import S3, Postgres
from tests.world import World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.chaos]
FRAMES = 300
BROKEN = 15
DRAWN_EVERY = 10
# Where each worker dies; by pipeline, so that both windows are met.
POINTS = {
    "banana": "after-acknowledge:60",
    "polyp": "after-produce:12",
    "deepfake": "after-acknowledge:100",
    "gesture": "after-produce:8",
    "detect": "after-acknowledge:30",
    "segment": "after-produce:15",
    "pose": "after-acknowledge:80",
    "classify": "after-produce:5",
}


def _frames(count: int, broken: int, start: int = 0) -> list[tuple[bytes | None, Headers]]:
    """Make frames of which some cannot succeed and some ask for an overlay; no two have the same bytes."""
    places = random.Random(start).sample(range(count), broken)
    ways = {place: TEN_WAYS[n % len(TEN_WAYS)] for n, place in enumerate(places)}
    frames: list[tuple[bytes | None, Headers]] = []
    for place in range(count):
        number = start + place
        source = f"/cameras/{number % 7}"
        if place in ways:
            frames.append(ways[place].make(number, f"e{number}", source))
        else:
            asked: Headers = [] if place % DRAWN_EVERY else [("ce_overlay", b"true")]
            frames.append((jpeg(number), [*headers(f"e{number}", source), *asked]))
    return frames


def _forget_the_dead_sooner(world: World) -> None:
    """Let a group notice after 6 s that a member is gone; a broker allows no less."""
    config = world.folder / "sooner.yaml"
    config.write_text(yaml.safe_dump({"kafka": {"properties": {"session.timeout.ms": 6_000}}}), encoding="utf-8")
    world.env["SIGHTLINE_CONFIG"] = str(config)


@pytest.mark.parametrize("pipeline", list(POINTS))
def test_a_worker_killed_while_its_models_answer(pipeline: str, world_like: Callable[[str], World]) -> None:
    world = world_like(pipeline)
    _forget_the_dead_sooner(world)
    addresses = put_models_in_force(world, pipeline)
    doomed = world.start("worker", world.pipeline, env={"SIGHTLINE_FAULT_POINT": POINTS[pipeline]})
    world.start_sink("postgres")
    world.start_sink("objects")
    published = world.publish(_frames(FRAMES, BROKEN))
    wait_for(lambda: doomed.process.poll() == -9, 60, f"death at {POINTS[pipeline]}")
    world.start_worker()
    world.wait_for_rows(FRAMES)
    evidence = assert_sound(world, published)
    assert world.count_rows() == (FRAMES - BROKEN, BROKEN)
    wanted = Counter(TEN_WAYS[n % len(TEN_WAYS)].code for n in range(BROKEN))
    assert Counter({letter.dl_id: letter.code for letter in evidence.topic_letters}.values()) == wanted
    digests = {role: address.digest for role, address in addresses.items()}
    for result in evidence.topic_results:
        assert result["kind"] == "frame"
        assert {model["role"]: model["digest"] for model in result["models"]} == digests
    overlays = [key for key, _ in evidence.artifact_rows if key.startswith("overlays/")]
    assert len(overlays) >= FRAMES // DRAWN_EVERY - BROKEN
    assert set(overlays) <= set(evidence.objects)


def test_database_and_object_store_away_while_models_answer(
    world_like: Callable[[str], World], postgres: Postgres, s3: S3
) -> None:
    world = world_like("polyp")
    put_models_in_force(world, "polyp")
    worker, *sinks = world.start_all()
    published = world.publish(_frames(100, 5))
    world.wait_for_rows(100)
    for number, service in enumerate((postgres, s3), 1):
        service.stop()
        published += world.publish(_frames(100, 5, start=1000 * number))
        wait_for(lambda: not all(sink.ready() for sink in sinks), 30, "a sink is not ready")
        # What is loaded needs no store: results flow on.
        wait_for(lambda: len(world.results()) >= 95 * (1 + number), 60, "results during the outage")  # noqa: B023 -- called at once
        time.sleep(3)
        assert worker.ready()
        service.start()
        wait_for(lambda: all(sink.ready() for sink in sinks), 60, "the sinks are ready again")
    world.wait_for_rows(300)
    evidence = assert_sound(world, published)
    assert world.count_rows() == (285, 15)
    assert all(result["detections"][0]["bbox"] == SEEN[LEFT] for result in evidence.topic_results)
