"""Kills: at random, and in each window where a crash could lose or double."""

import random
import time

import pytest

from schemas.headers import Headers
from tests.audit import assert_sound
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.world import World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.chaos]
SEED = 20_260_301


class Supervised:
    """Starts a process again whenever it is gone, as a supervisor would."""

    def __init__(self, world: World, *arguments: str) -> None:
        self._world = world
        self._arguments = arguments
        self.running = world.start(*arguments)
        self.restarts = 0

    def kill(self) -> None:
        self.running.kill()
        self.tend()

    def tend(self) -> None:
        """Start the process again if it has ended."""
        if self.running.process.poll() is not None:
            self.restarts += 1
            self.running = self._world.start(*self._arguments)


def test_ten_random_kills_while_5000_frames_flow(world: World) -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    worker = Supervised(world, "worker", world.pipeline)
    second = Supervised(world, "worker", world.pipeline)
    rows = Supervised(world, "sink", "postgres", world.pipeline)
    objects = Supervised(world, "sink", "objects", world.pipeline)
    everybody = [worker, second, rows, objects]
    frames: list[tuple[bytes | None, Headers]] = [
        (jpeg(n), headers(f"e{n}", f"/cameras/{n % 12}")) for n in range(5000)
    ]
    frames[::500] = [TEN_WAYS[n].make(n, f"broken{n}", "/cameras/broken") for n in range(10)]
    published = []
    for start in range(0, 5000, 500):
        published += world.publish(frames[start : start + 500])
        time.sleep(chance.uniform(0.5, 2.0))
        chance.choice(everybody).kill()
    world.wait_for_rows(5000, 180)
    assert sum(one.restarts for one in everybody) == 10
    evidence = assert_sound(world, published)
    print(f"results repeated on the topic: {len(evidence.topic_results) - 4990}")
    assert world.count_rows() == (4990, 10)


@pytest.mark.parametrize(
    ("arguments", "point"),
    [
        (("worker",), "after-produce:3"),
        (("worker",), "after-acknowledge:20"),
        (("sink", "postgres"), "after-database:1"),
        (("sink", "objects"), "after-object:1"),
    ],
)
def test_killed_in_a_dangerous_window(world: World, arguments: tuple[str, ...], point: str) -> None:
    """The process dies in the window, once; the one started after it makes everything good."""
    doomed = world.start(*arguments, world.pipeline, env={"SIGHTLINE_FAULT_POINT": point})
    others = [("worker",), ("sink", "postgres"), ("sink", "objects")]
    for other in others:
        if other != arguments:
            world.start(*other, world.pipeline)
    published = world.publish((jpeg(n), headers(f"e{n}", f"/cameras/{n % 5}")) for n in range(300))
    published += world.publish([TEN_WAYS[0].make(0, "broken", "/cameras/0")])
    wait_for(lambda: doomed.process.poll() == -9, 60, f"death at {point}")
    world.start(*arguments, world.pipeline)
    world.wait_for_rows(301)
    assert_sound(world, published)


def test_killed_while_partitions_are_taken_away(world: World) -> None:
    doomed = world.start("worker", world.pipeline, env={"SIGHTLINE_FAULT_POINT": "in-revoke:1"}).wait_ready()
    published = world.publish((jpeg(n), headers(f"e{n}", f"/cameras/{n % 24}")) for n in range(1500))
    wait_for(lambda: doomed.metric("sightline_records_read_total") > 50, 30, "work in hand")
    world.start_all()  # its worker joins the group, which takes partitions from the first
    wait_for(lambda: doomed.process.poll() == -9, 60, "death in the revoke")
    world.wait_for_rows(1500)
    assert_sound(world, published)
