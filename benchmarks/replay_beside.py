"""What live frames feel of a replay that the same worker answers beside them, and what is left for the replay."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.figures import Figure
from benchmarks.latency import FRAMES_PER_MINUTE
from benchmarks.models import MODEL, ROLE, scene_files
from schemas import topics
from schemas.frame import frame_headers
from tests.world import World, wait_for

SECONDS = 30
BACKLOG = 1500


def measure(world: World, folder: Path) -> list[Figure]:
    """Take the figures of a pipeline with a model."""
    pictures = [file.read_bytes() for file in scene_files(folder)]
    publish(world, pictures, "old", BACKLOG, 0)
    offsets = [f"--offsets={partition}:0-" for partition in world.partitions(topics.frames(world.pipeline))]
    world.run("replay", "start", world.pipeline, "--id", "beside", *offsets, "--max-live-lag", "0")
    world.empty(topics.frames(world.pipeline))
    return measure_with(world, pictures, ["--model", f"{ROLE}={MODEL}"], "polyp, 1280 x 720")


def measure_with(world: World, pictures: list[bytes], arguments: Sequence[str], said: str) -> list[Figure]:
    """Let one worker answer live frames alone, then beside a replay of which enough is sent already."""
    alone = _live(world, pictures, "alone", [*arguments, "--no-replay"])
    beside = _live(world, pictures, "beside", arguments)
    pace = f"{FRAMES_PER_MINUTE} live frames a minute, one worker"
    return [
        Figure(f"live p95 without a replay, {said}", alone.p95_ms(), "ms", "< 100", None, pace),
        Figure(f"live p95 beside a replay, {said}", beside.p95_ms(), "ms", "< 100", None, pace),
        Figure(f"live lag without a replay, {said}", fmean(alone.lag()), "frames", "", None, f"{pace}; mean"),
        Figure(f"live lag beside a replay, {said}", fmean(beside.lag()), "frames", "", None, f"{pace}; mean"),
        Figure(f"growth of live lag beside a replay, {said}", beside.growth(), "frames", "≤ 1", None,
               f"{pace}; mean of the last third less that of the first"),
        Figure(f"left for the replay, {said}", beside.replayed / SECONDS, "1/s", "", None, f"{pace}; answered"),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Live:
    """When each live frame was appended and answered, in milliseconds, and how many of a replay were answered then."""

    times: list[tuple[int, int]]
    replayed: int

    def p95_ms(self) -> float:
        """Return the 95th percentile of the time to an answer."""
        return float(np.percentile([answered - appended for appended, answered in self.times], 95))

    def lag(self) -> list[int]:
        """Return how many frames had no answer yet, every 10 ms from the first frame to the last."""
        appended, answered = (np.sort([pair[end] for pair in self.times]) for end in (0, 1))
        moments = np.arange(appended[0], appended[-1], 10)
        waiting = np.searchsorted(appended, moments, "right") - np.searchsorted(answered, moments, "right")
        return [int(count) for count in waiting]

    def growth(self) -> float:
        """Return by how much the mean of the last third is above that of the first."""
        lag = self.lag()
        third = len(lag) // 3
        return fmean(lag[-third:]) - fmean(lag[:third])


def publish(world: World, pictures: list[bytes], prefix: str, count: int, every_s: float) -> dict[Any, int]:
    """Publish at an even pace; return the append time of each frame, in milliseconds, by its place."""
    with world.producer() as producer:
        began = time.perf_counter()
        for number in range(count):
            time.sleep(max(began + number * every_s - time.perf_counter(), 0))
            event = frame_headers(event_id=f"{prefix}{number}", source=f"/b/{number % 8}", media_type="image/jpeg")
            producer.send(pictures[number % len(pictures)], event)
    return {item.origin: item.timestamp_ms for item in producer.published}


def _live(world: World, pictures: list[bytes], prefix: str, arguments: Sequence[str]) -> _Live:
    """Publish live frames at an even pace to one worker; times are the broker's, of append."""
    results = topics.results(world.pipeline)
    worker = world.start("worker", world.pipeline, *arguments).wait_ready()
    world.wait_for_lag(topics.group("worker", world.pipeline), [topics.frames(world.pipeline)], 300)
    before = world.count(results)
    count = FRAMES_PER_MINUTE * SECONDS // 60
    appended = publish(world, pictures, prefix, count, 60 / FRAMES_PER_MINUTE)
    wait_for(lambda: world.count(results) >= before + count, 60, "all live results")
    group, frames = topics.group("worker-replay", world.pipeline), topics.frames_replay(world.pipeline)
    if world.lag(group, [frames]) == 0:
        raise RuntimeError("the replay was over before the live frames were")
    worker.terminate()
    times = []
    for message in world.read(results):
        origin = json.loads(message.value() or b"")["origin"]
        began = appended.get((origin["topic"], origin["partition"], origin["offset"]))
        if began is not None:
            times.append((began, message.timestamp()[1]))
    if len(times) != count:
        raise RuntimeError("a live frame has no result, or several")
    first, last = min(appended.values()), max(appended.values())
    answers = world.read(topics.results_replay(world.pipeline))
    return _Live(times, sum(first <= message.timestamp()[1] <= last for message in answers))
