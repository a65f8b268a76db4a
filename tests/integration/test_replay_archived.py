"""A replay of kept pictures: their metadata was taken off, and the results are the same to the bit."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest

from schemas import topics
from schemas.pipeline import MediaType
from tests.integration.replaying import rows
from tests.pictures import headers
from tests.quick import make_host
from tests.unit.processors import samples
from tests.world import World, wait_for

pytestmark = pytest.mark.services
CONTAINERS: Final = (MediaType.JPEG, MediaType.PNG, MediaType.WEBP, MediaType.HEIC)
ORIENTATIONS: Final = (None, 1, 3, 6, 8)  # None: a picture without any metadata
CAPTURED: Final = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def _bytes_looked_at(body: dict[str, Any]) -> tuple[str, int]:
    """Take out of a result which bytes it is of: those of a kept picture are fewer than the original's."""
    return body["image"].pop("sha256"), body["image"].pop("size_bytes")


def test_whatever_the_container_and_its_metadata_each_result_is_the_same(world: World) -> None:
    world.start_all()
    frames = []
    for number, (container, orientation) in enumerate(product(CONTAINERS, ORIENTATIONS)):
        photo = samples.photo(800, 640, seed=number)
        if orientation is None:
            picture = samples.encode(photo, container)
        else:
            picture = samples.with_secrets(photo, container, orientation)
        captured_at = CAPTURED + timedelta(seconds=number) if number % 2 else None
        frames.append((picture, headers(f"e{number}", f"/c/{number % 3}", container.value, captured_at)))
    world.publish(frames)
    world.wait_for_rows(len(frames))
    live = rows(world, None)
    assert len(live) == len(frames)
    checks = [check for body in live.values() for check in body["quality"]["checks"] if check["name"] == "metadata"]
    assert len({check["score"] for check in checks}) > 1  # what was taken off counts, and must come from elsewhere
    world.wait_until_settled()
    world.empty(topics.frames(world.pipeline))
    with make_host() as host:
        host.run(world, "replay", "start", world.pipeline, "--id", "kept")
    wait_for(lambda: len(rows(world, "kept")) == len(frames), 60, "all answers")
    kept = rows(world, "kept")
    looked_at = {frame_id: _bytes_looked_at(body) for frame_id, body in kept.items()}
    for body in live.values():
        _bytes_looked_at(body)
    assert kept == live
    pictures = world.sql(
        "SELECT frame_id, artifacts.sha256, artifacts.size_bytes FROM artifacts JOIN results USING (result_id)"
        " WHERE replay_id IS NULL AND artifacts.kind = 'picture'"
    )
    assert {frame_id: (sha256, size_bytes) for frame_id, sha256, size_bytes in pictures} == looked_at
    marked = world.sql("SELECT count(*) FROM results WHERE replay_id = 'kept' AND (body->>'archived')::boolean")
    assert marked[0][0] == len(frames)
