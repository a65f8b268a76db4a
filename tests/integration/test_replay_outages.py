"""A replay goes on over outages of the services that it needs, and each frame is answered once."""

import time

import pytest

from schemas import topics
from tests.integration.replaying import photos, rows
from tests.quick import make_host
from tests.services import Kafka, Postgres
from tests.world import World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.chaos, pytest.mark.timeout(300)]
FRAMES = 200
_AWAY_S = 4.0


def test_database_and_broker_away_while_it_is_sent(world: World, kafka: Kafka, postgres: Postgres) -> None:
    world.start_all()
    world.publish(photos(FRAMES))
    world.wait_for_rows(FRAMES)
    live, sent = rows(world, None), topics.frames_replay(world.pipeline)
    with make_host() as host:
        replay = host.start(world, "replay", "start", world.pipeline, "--id", "patient", "--rate", "20")
        for service, before in ((postgres, 20), (kafka, 80)):
            wait_for(lambda before=before: world.count(sent) >= before, 60, f"{before} frames sent")  # type: ignore[misc]
            service.kill()
            time.sleep(_AWAY_S)
            assert replay.poll() is None
            service.start()
        assert replay.wait() == 0, replay.said("err")
    wait_for(lambda: len(rows(world, "patient")) == FRAMES, 60, "all answers")
    assert rows(world, "patient") == live
    assert not world.dead_letters()
    assert world.count(sent) >= FRAMES
