"""What a replay costs: sending against a bare copy, and what live frames feel of one that is answered beside them."""

import json
from datetime import datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import cast

import numpy as np
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from benchmarks import replay_beside
from benchmarks.figures import Figure
from benchmarks.photos import photos
from schemas import topics
from tests.world import World

FRAMES = 1500
TURNS = 5
SIDE = 640, 480
_MB = 1e6


def measure(world: World, _: Path) -> list[Figure]:
    """Send the same frames by a bare copy and by a replay, in turns; then answer them beside live ones."""
    pictures = photos(16, *SIDE)
    replay_beside.publish(world, pictures, "old", FRAMES, 0)
    copied, sent = [], []
    for turn in range(TURNS):
        world.create_topic(f"copy{turn}.{world.pipeline}", {})
        copied.append(_copy(world, f"copy{turn}.{world.pipeline}"))
        sent.append(_replay(world, f"r{turn}"))
    ratio = median(sent) / median(copied)
    size = np.mean([len(one) for one in pictures]) / 1000
    note = f"{FRAMES} frames of {size:.0f} KB, after the plan; medians of {TURNS} turns"
    return [
        Figure("replay ÷ bare copy, MB/s", ratio, "", "≥ 0.8", "consume and produce", note),
        Figure("replay, MB/s", median(sent), "MB/s", "", None, note),
        *replay_beside.measure_with(world, pictures, [], f"civic, {SIDE[0]} x {SIDE[1]}"),
    ]


def _copy(world: World, target: str) -> float:
    """Return MB/s of a loop that reads every frame and writes it elsewhere, all acknowledged."""
    topic = topics.frames(world.pipeline)
    reader = Consumer({"bootstrap.servers": world.bootstrap, "group.id": "bench", "enable.partition.eof": True,
                       "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100})  # fmt: skip
    writer = Producer({"bootstrap.servers": world.bootstrap, "enable.idempotence": True, "linger.ms": 2})
    began, size, ended = perf_counter(), 0, 0
    places = [TopicPartition(topic, partition, 0) for partition in world.partitions(topic)]
    reader.assign(places)
    while ended < len(places):
        for message in reader.consume(500, 0.1):
            error = message.error()
            if error is not None:
                ended += error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 -- the library's own name
                continue
            value = message.value() or b""
            size += len(value)
            writer.produce(
                target, value, message.key(), headers=cast("list[tuple[str, str | bytes | None]]", message.headers())
            )
            writer.poll(0)
    writer.flush()
    reader.close()
    return size / _MB / (perf_counter() - began)


def _replay(world: World, name: str) -> float:
    """Return MB/s of sending a replay, from when it was started to when all was acknowledged and saved."""
    frames = [f"--offsets={partition}:0-" for partition in world.partitions(topics.frames(world.pipeline))]
    world.run("replay", "plan", world.pipeline, "--id", name, *frames)
    said = world.run("replay", "start", name, "--max-live-lag", "0", "--json")
    facts = json.loads(said.splitlines()[-1])
    seconds = datetime.fromisoformat(facts["ended_at"]) - datetime.fromisoformat(facts["started_at"])
    return float(facts["published_bytes"] / _MB / seconds.total_seconds())
