"""Services that go away and come back: everything waits, nothing is lost, and nobody's frame is blamed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from tests.audit import assert_sound
from tests.pictures import headers, jpeg
from tests.services import S3, Kafka, Postgres
from tests.world import Published, World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.chaos, pytest.mark.timeout(600)]


def _frames(world: World, start: int, count: int) -> list[Published]:
    return world.publish((jpeg(n), headers(f"e{n}", f"/cameras/{n % 12}")) for n in range(start, start + count))


@contextmanager
def _trickle(world: World, per_s: int) -> Iterator[list[Published]]:
    """Publish all the while, some frames every second."""
    published: list[Published] = []
    ended = threading.Event()

    def run() -> None:
        number = 100_000
        while not ended.wait(1.0):
            published.extend(_frames(world, number, per_s))
            number += per_s

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield published
    finally:
        ended.set()
        thread.join()


def _no_blame(world: World, published: list[Published], timeout_s: float = 120) -> None:
    world.wait_for_rows(len(published), timeout_s)
    assert world.count_rows() == (len(published), 0)
    assert_sound(world, published)


def test_kafka_killed_and_restarted_twice(world: World, kafka: Kafka) -> None:
    processes = world.start_all()
    published = _frames(world, 0, 1000)
    for start in (1000, 2000):
        kafka.kill()
        wait_for(lambda: not any(process.ready() for process in processes), 60, "nobody ready")
        assert all(process.get("/health/live")[0] == 200 for process in processes)
        kafka.start()
        published += _frames(world, start, 1000)
    _no_blame(world, published)
    for process in processes:
        process.wait_ready(60)


def test_postgresql_stopped_for_30_s(world: World, postgres: Postgres) -> None:
    _, sink, _ = world.start_all()
    with _trickle(world, 20) as published:
        postgres.stop()
        wait_for(lambda: not sink.ready(), 30, "the sink is not ready")
        time.sleep(30)
        assert sink.get("/health/live")[0] == 200
        postgres.start()
        wait_for(sink.ready, 60, "the sink is ready again")
    _no_blame(world, published)


def test_s3_stopped_for_30_s(world: World, s3: S3) -> None:
    _, _, sink = world.start_all()
    with _trickle(world, 20) as published:
        s3.stop()
        wait_for(lambda: not sink.ready(), 30, "the sink is not ready")
        time.sleep(30)
        assert sink.get("/health/live")[0] == 200
        s3.start()
        wait_for(sink.ready, 60, "the sink is ready again")
    wait_for(lambda: _objects_done(world), 60, "objects written")
    _no_blame(world, published)


def test_outages_longer_than_every_timeout(world: World, kafka: Kafka, postgres: Postgres, s3: S3) -> None:
    """Kafka's own timeouts are 10 s, outages 45 s, and a rebalance falls into the middle of them."""
    config = world.folder / "short.yaml"
    short = {"max.poll.interval.ms": 10_000, "session.timeout.ms": 6_000, "message.timeout.ms": 10_000}
    config.write_text(yaml.safe_dump({"kafka": {"properties": short}}), encoding="utf-8")
    world.env["SIGHTLINE_CONFIG"] = str(config)
    processes = world.start_all()
    published = _frames(world, 0, 300)
    world.wait_for_rows(300)
    published += _frames(world, 300, 300)
    with _trickle(world, 5) as trickled:
        postgres.stop()
        s3.stop()
        time.sleep(20)
        processes += [world.start_worker(), world.start_sink("postgres"), world.start_sink("objects")]
        time.sleep(25)
        postgres.start()
        s3.start()
    published += trickled
    world.wait_for_rows(len(published), 120)
    published += _frames(world, 600, 300)
    kafka.kill()
    time.sleep(45)
    kafka.start()
    published += _frames(world, 900, 300)
    wait_for(lambda: _objects_done(world), 120, "objects written")
    _no_blame(world, published)
    assert [process.metric("sightline_evictions_total") for process in processes] == [0] * len(processes)
    assert all(process.process.poll() is None for process in processes)


def _objects_done(world: World) -> bool:
    return world.lag(f"sightline.sink-objects.{world.pipeline}", [f"artifacts.{world.pipeline}"]) == 0
