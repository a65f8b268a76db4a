"""From Kafka in to result out at 1,000 frames a minute, by the broker's own append times."""

import json
import time

import numpy as np

from benchmarks.figures import Figure
from benchmarks.photos import photos
from schemas import topics
from schemas.frame import frame_headers
from tests.world import Published, Running, World, wait_for

FRAMES_PER_MINUTE = 1000
SECONDS = 60


def measure(world: World) -> list[Figure]:
    """Take the civic pipeline's figures."""
    return measure_with(world, world.start_worker(), photos(16), "latency", "2.7 MP, one worker")


def measure_with(world: World, worker: Running, pictures: list[bytes], name: str, note: str) -> list[Figure]:
    """Publish at an even pace to a worker that is warm, and pair each result with its frame's record."""
    worker.wait_ready()
    _publish(world, pictures, "warm", 32, 0.05)
    published = _publish(world, pictures, "e", FRAMES_PER_MINUTE * SECONDS // 60, 60 / FRAMES_PER_MINUTE)
    results = topics.results(world.pipeline)
    wait_for(lambda: world.count(results) >= len(published) + 32, 60, "all results")
    worker.terminate()
    appended = {item.origin: item.timestamp_ms for item in published}
    delays = []
    for message in world.read(results):
        origin = json.loads(message.value() or b"")["origin"]
        frame_ms = appended.get((origin["topic"], origin["partition"], origin["offset"]))
        if frame_ms is not None:  # none for the warm-up
            delays.append(message.timestamp()[1] - frame_ms)
    if len(delays) != len(published):
        raise RuntimeError("a frame has no result")
    goals = {50: "", 95: "< 100", 99: "< 500"}
    return [
        Figure(f"{name} p{share} at {FRAMES_PER_MINUTE} frames a minute", float(np.percentile(delays, share)), "ms",
               goal, None, f"{note}, from the frame's append time to the result's")
        for share, goal in goals.items()
    ]  # fmt: skip


def _publish(world: World, pictures: list[bytes], prefix: str, count: int, every_s: float) -> list[Published]:
    with world.producer() as producer:
        began = time.perf_counter()
        for number in range(count):
            time.sleep(max(began + number * every_s - time.perf_counter(), 0))
            headers = frame_headers(
                event_id=f"{prefix}{number}", source=f"/bench/{number % 8}", media_type="image/jpeg"
            )
            producer.send(pictures[number % len(pictures)], headers)
    return producer.published
