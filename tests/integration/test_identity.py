"""What counts as the same frame, and what doesn't."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.audit import assert_sound
from tests.pictures import headers, jpeg
from tests.world import World, wait_for

pytestmark = pytest.mark.services
DAY = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)


def test_a_camera_that_restarts_its_counter_makes_new_frames(world: World) -> None:
    _, sink, _ = world.start_all()
    before = [(jpeg(n), headers(f"{n}", "/cameras/1", captured_at=DAY)) for n in range(100)]
    after = [(jpeg(1000 + n), headers(f"{n}", "/cameras/1", captured_at=DAY + timedelta(hours=1))) for n in range(100)]
    published = world.publish(before)
    world.wait_for_rows(100)
    published += world.publish(after)
    world.wait_for_rows(200)
    # The same 100 events once more are nothing new.
    published += world.publish(after)
    world.wait_until_settled()
    assert world.count_rows() == (200, 0)
    assert_sound(world, published)
    alerts = "SELECT count(*) FROM alerts WHERE rule = 'event-id-reused' AND source = '/cameras/1'"
    wait_for(lambda: world.sql(alerts)[0][0] == 1, 30, "one alert of reused ids")
    assert sink.metric("sightline_event_ids_reused_total", pipeline=world.pipeline) == 100
    assert sink.metric("sightline_rows_repeated_total", pipeline=world.pipeline) == 100


def test_a_frame_redelivered_after_midnight_gives_one_row(world: World) -> None:
    frame = (jpeg(1), headers("1", "/cameras/1", captured_at=DAY))
    world.start_all()
    published = world.publish([frame])
    world.wait_for_rows(1)
    published += world.publish([frame])  # its append time is another, its capture time the same
    world.wait_until_settled()
    assert len(world.results()) == 2
    assert world.count_rows() == (1, 0)
    assert_sound(world, published)


def test_a_frame_dated_1970_gives_one_row(world: World) -> None:
    frame = (jpeg(1), headers("1", "/cameras/1", captured_at=datetime(1970, 1, 1, tzinfo=UTC)))
    world.start_all()
    published = world.publish([frame, frame])
    world.wait_until_settled()
    assert world.count_rows() == (1, 0)
    assert world.sql("SELECT extract(year FROM captured_at)::int FROM results")[0][0] == 1970
    assert_sound(world, published)
