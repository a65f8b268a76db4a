"""Workers of one group: sharing, handing over, ending."""

import time
from collections import Counter

import pytest
from confluent_kafka.admin import AdminClient

from schemas import topics
from sightline.runtime.kafka import SESSION_TIMEOUT_MS
from tests.audit import assert_sound
from tests.pictures import headers, jpeg
from tests.world import Published, Running, World, wait_for

pytestmark = pytest.mark.services


def _frames(world: World, start: int, count: int) -> list[Published]:
    return world.publish((jpeg(n), headers(f"e{n}", f"/cameras/{n % 24}")) for n in range(start, start + count))


def _read(worker: Running) -> float:
    return worker.metric("sightline_records_read_total")


def test_two_workers_share_the_load(world: World) -> None:
    first, second = world.start_worker().wait_ready(), world.start_worker().wait_ready()
    wait_for(lambda: _partitions(world, first) == _partitions(world, second) > 0, 30, "half of the partitions each")
    published = _frames(world, 0, 600)
    world.start_sink("postgres")
    world.start_sink("objects")
    world.wait_for_rows(600)
    assert _read(first) > 100
    assert _read(second) > 100
    assert _read(first) + _read(second) == 600
    assert_sound(world, published)


def test_a_worker_that_stops_hands_over_within_5_s(world: World) -> None:
    first, second = world.start_worker().wait_ready(), world.start_worker().wait_ready()
    wait_for(lambda: _partitions(world, first) == _partitions(world, second) > 0, 30, "half of the partitions each")
    total = _partitions(world, first) * 2
    stopped = time.monotonic()
    assert first.terminate() == 0
    wait_for(lambda: _partitions(world, second) == total, 10, "all partitions")
    assert time.monotonic() - stopped < 5


def test_a_killed_worker_is_replaced_within_the_session_time(world: World) -> None:
    first, second = world.start_worker().wait_ready(), world.start_worker().wait_ready()
    wait_for(lambda: _partitions(world, first) == _partitions(world, second) > 0, 30, "half of the partitions each")
    total = _partitions(world, first) * 2
    killed = time.monotonic()
    first.kill()
    published = _frames(world, 0, 48)
    wait_for(lambda: _partitions(world, second) == total, 30, "all partitions")
    assert time.monotonic() - killed < SESSION_TIMEOUT_MS / 1000 + 4  # the session, the hand-over, and a busy machine
    wait_for(lambda: len(world.results()) == 48, 30, "all results")
    assert len(published) == 48


def test_sigterm_under_load(world: World) -> None:
    """Ends in time with exit code 0; each result stands once on its topic; the next worker has the rest."""
    published = _frames(world, 0, 3000)
    for _ in range(3):
        worker = world.start_worker().wait_ready()
        wait_for(lambda worker=worker: _read(worker) > 200, 30, "work in hand")  # type: ignore[misc]
        assert worker.terminate(10) == 0
    assert 600 <= len(world.results()) < 3000
    world.start_all()
    world.wait_for_rows(3000)
    counts = Counter(result["result_id"] for result in world.results())
    assert len(counts) == 3000
    assert set(counts.values()) == {1}
    assert_sound(world, published)


def test_a_worker_without_partitions_is_healthy(world: World) -> None:
    frames = topics.frames(world.pipeline)
    admin = AdminClient({"bootstrap.servers": world.bootstrap})
    for done in admin.delete_topics([frames]).values():
        done.result(30)
    wait_for(lambda: frames not in admin.list_topics(timeout=10).topics, 30, "no topic")
    world.create_topic(frames, {})  # with one partition
    workers = [world.start_worker(), world.start_worker()]
    for worker in workers:
        worker.wait_ready(60)
    wait_for(lambda: sorted(_partitions(world, worker) for worker in workers) == [0, 1], 30, "one without partitions")
    for worker in workers:
        assert worker.get("/health/live")[0] == 200
        worker.wait_ready(30)  # not at once: after each assignment it looks first whether its topics are there


def _partitions(world: World, worker: Running) -> int:
    return int(worker.metric("sightline_partitions", group=topics.group("worker", world.pipeline)))
