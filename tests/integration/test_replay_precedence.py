"""A worker that serves both answers live frames before those of a replay, however many of these wait."""

import pytest

from schemas import topics
from tests.integration.replaying import photos
from tests.quick import make_host
from tests.world import World, wait_for

pytestmark = pytest.mark.services
REPLAYED, LIVE = 150, 300


def test_frames_of_a_replay_give_way_to_live_ones(world: World) -> None:
    """Both wait before the only worker starts."""
    first = world.start("worker", world.pipeline, "--no-replay").wait_ready()
    world.publish(photos(REPLAYED))
    world.wait_for_lag(topics.group("worker", world.pipeline), [topics.frames(world.pipeline)])
    assert first.terminate() == 0
    with make_host() as host:
        host.run(world, "replay", "start", world.pipeline, "--id", "again", "--max-live-lag", "0")
    assert world.count(topics.frames_replay(world.pipeline)) == REPLAYED
    world.publish(photos(LIVE, start=REPLAYED))

    results, answers = topics.results(world.pipeline), topics.results_replay(world.pipeline)
    world.start_worker()
    wait_for(lambda: world.count(results) == REPLAYED + LIVE, 60, "live frames are answered", 0.5)
    wait_for(lambda: world.count(answers) == REPLAYED, 120, "those of the replay too", 0.5)
    last_live, replayed = max(_answered_at(world, results)), _answered_at(world, answers)
    # A few batches may come before the first live frame is in hand; without precedence it is all of them.
    assert sum(answered_at <= last_live for answered_at in replayed) < REPLAYED / 2


def _answered_at(world: World, topic: str) -> list[int]:
    return [message.timestamp()[1] for message in world.read(topic)]
