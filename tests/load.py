"""A steady load on a world, and how long its frames wait for their answers."""

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from schemas import topics
from tests.background import in_background
from tests.pictures import headers
from tests.world import Published, World, wait_for

CAMERAS = 8


@dataclass
class Load:
    """Publishes frames at a steady rate in a thread of its own."""

    world: World
    per_s: float
    pictures: Sequence[bytes]
    published: list[Published] = field(default_factory=list)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Publish as long as the block lasts; `published` stands after it."""
        with in_background(self._run):
            yield

    def _run(self, ended: threading.Event) -> None:
        began = time.monotonic()
        with self.world.producer() as producer:
            for number in itertools.count():
                if ended.wait(max(began + number / self.per_s - time.monotonic(), 0)):
                    break
                picture = self.pictures[number % len(self.pictures)]
                producer.send(picture, headers(f"flowing{number}", f"/cameras/{number % CAMERAS}"))
        self.published = producer.published


def capacity(world: World, pictures: Sequence[bytes], count: int) -> tuple[float, list[Published]]:
    """Measure how many frames a second the workers do, on a backlog of `count`."""
    published = world.publish(
        (pictures[n % len(pictures)], headers(f"backlog{n}", f"/cameras/{n % CAMERAS}")) for n in range(count)
    )
    began = time.monotonic()
    first = world.count(topics.results(world.pipeline))
    wait_for(lambda: world.count(topics.results(world.pipeline)) >= count, 120, "the backlog is done", every_s=0.25)
    return (count - first) / (time.monotonic() - began), published


def latencies_s(world: World, published: Sequence[Published], since_ms: float, until_ms: float) -> list[float]:
    """Return the time from a frame's append to its first result's append, of frames appended between two times."""
    appended = {item.origin: item.timestamp_ms for item in published if since_ms <= item.timestamp_ms < until_ms}
    first: dict[tuple[str, int, int], float] = {}
    for message in world.read(topics.results(world.pipeline)):
        place = json.loads(message.value() or b"")["origin"]
        origin = (place["topic"], place["partition"], place["offset"])
        if origin in appended:
            first[origin] = min(first.get(origin, float("inf")), message.timestamp()[1] - appended[origin])
    if len(first) != len(appended):
        raise AssertionError("a frame has no result")
    return [latency / 1000 for latency in first.values()]
