"""What live frames feel of a replay that is sent, and answered by the same worker, beside them; what is left for it.

Twice: sent at a rate that lasts as long as the live frames do, and as fast as it goes, with the limiter's defaults.
"""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from benchmarks.figures import Figure
from benchmarks.latency import FRAMES_PER_MINUTE
from benchmarks.models import MODEL, ROLE, scene_files
from schemas import topics
from schemas.frame import frame_headers
from tests.world import SIGHTLINE, World, wait_for

SECONDS = 30
BACKLOG = 1500
_UNANSWERED = 20
_RATE = 40  # a second: so BACKLOG lasts for longer than SECONDS
_BURST_AFTER_S = 5.0


def measure(world: World, folder: Path) -> list[Figure]:
    """Take the figures of a pipeline with a model."""
    pictures = [file.read_bytes() for file in scene_files(folder)]
    publish(world, pictures, "old", BACKLOG, 0)
    return measure_with(world, pictures, ["--model", f"{ROLE}={MODEL}"], "polyp, 1280 x 720")


def measure_with(world: World, pictures: list[bytes], arguments: Sequence[str], said: str) -> list[Figure]:
    """Let one worker answer live frames alone, then beside a replay of the frames that are there already."""
    world.empty(topics.frames_replay(world.pipeline))
    ends = _ends(world)
    _pass_over(world, ends)
    offsets = [f"--offsets={place.partition}:0-{place.offset}" for place in ends if place.offset]
    with _worker(world, [*arguments, "--no-replay"]):
        alone = _live(world, pictures, "alone")
    with _worker(world, arguments):
        with _sending(world, "lasting", *offsets, "--max-backlog", str(_UNANSWERED), "--rate", str(_RATE)) as sender:
            beside = _live(world, pictures, "beside")
            if sender.poll() is not None:
                raise RuntimeError("the replay was sent before the live frames were")
        world.run("replay", "cancel", "lasting")
        world.wait_for_lag(topics.group("worker-replay", world.pipeline), [topics.frames_replay(world.pipeline)], 60)
        with ThreadPoolExecutor(1) as pool:
            live = pool.submit(_live, world, pictures, "burst")
            time.sleep(_BURST_AFTER_S)
            began = time.time()
            world.run("replay", "start", world.pipeline, "--id", "burst", *offsets)
            ended = time.time()
            burst = live.result()
    pace = f"{FRAMES_PER_MINUTE} live frames a minute, one worker"
    sent = f"{pace}; {BACKLOG} frames within {ended - began:.1f} s, its start and plan among them"
    return [
        Figure(f"live p95 without a replay, {said}", alone.p95_ms(), "ms", "< 100", None, pace),
        Figure(f"live p95 beside a replay, {said}", beside.p95_ms(), "ms", "< 100", None,
               f"{pace}; sent while few of it wait, {_RATE}/s at most"),
        Figure(f"live p95 while a replay is sent as fast as it goes, {said}",
               burst.between(began, ended).p95_ms(), "ms", "< 100", None, sent),
        Figure(f"live lag without a replay, {said}", fmean(alone.lag()), "frames", "", None, f"{pace}; mean"),
        Figure(f"live lag beside a replay, {said}", fmean(beside.lag()), "frames", "", None, f"{pace}; mean"),
        Figure(f"growth of live lag beside a replay, {said}", beside.growth(), "frames", "≤ 1", None,
               f"{pace}; mean of the last third less that of the first"),
        Figure(f"live lag while a replay is sent as fast as it goes, {said}",
               fmean(burst.between(began, ended).lag()), "frames", "", None, f"{pace}; mean"),
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

    def between(self, began_s: float, ended_s: float) -> "_Live":
        """Return those that were appended between two times."""
        times = [pair for pair in self.times if began_s <= pair[0] / 1000 <= ended_s]
        return _Live(times, self.replayed)

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


def _ends(world: World) -> list[TopicPartition]:
    """Return where the log of live frames ends at present."""
    reader = Consumer({"bootstrap.servers": world.bootstrap, "group.id": "bench"})
    topic = topics.frames(world.pipeline)
    places = [TopicPartition(topic, partition) for partition in world.partitions(topic)]
    for place in places:
        place.offset = reader.get_watermark_offsets(place, timeout=10)[1]
    reader.close()
    return places


def _pass_over(world: World, ends: list[TopicPartition]) -> None:
    """Let workers begin behind what is there."""
    reader = Consumer({"bootstrap.servers": world.bootstrap, "group.id": topics.group("worker", world.pipeline)})
    reader.commit(offsets=ends, asynchronous=False)
    reader.close()


@contextmanager
def _worker(world: World, arguments: Sequence[str]) -> Iterator[None]:
    """Run a worker that has nothing left to do when the block begins."""
    worker = world.start("worker", world.pipeline, *arguments).wait_ready()
    world.wait_for_lag(topics.group("worker", world.pipeline), [topics.frames(world.pipeline)], 300)
    yield
    worker.terminate()


@contextmanager
def _sending(world: World, name: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a replay, which has begun to be sent when the block begins; at its end it is stopped."""
    command = [SIGHTLINE, "replay", "start", world.pipeline, "--id", name, *arguments]
    with subprocess.Popen(command, env=world.env, stdout=subprocess.DEVNULL) as sender:
        wait_for(lambda: world.count(topics.frames_replay(world.pipeline)), 60, "the first frames of a replay")
        yield sender
        sender.terminate()


def _live(world: World, pictures: list[bytes], prefix: str) -> _Live:
    """Publish live frames at an even pace; times are the broker's, of append."""
    results = topics.results(world.pipeline)
    before = world.count(results)
    count = FRAMES_PER_MINUTE * SECONDS // 60
    appended = publish(world, pictures, prefix, count, 60 / FRAMES_PER_MINUTE)
    wait_for(lambda: world.count(results) >= before + count, 60, "all live results")
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
