"""How long partitions stand still while workers come and go: two that stay, and a third that joins or leaves every 4 s.

Counted is each gap of more than 0.3 s between two results of one partition, as a share of the time of all partitions.
"""

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from benchmarks.figures import Figure
from schemas import topics
from schemas.frame import frame_headers
from tests.background import in_background
from tests.pictures import jpeg
from tests.world import SIGHTLINE, World, wait_for

PARTITIONS = 12
PER_PARTITION_S = 25
EVERY_S = 4.0
CHANGES = 10
GAP_S = 0.3
_OURS = "range, as it is"
# Kafka properties beside the worker's own; those that the worker refuses run with another loop.
CANDIDATES: dict[str, dict[str, str]] = {
    _OURS: {},
    "cooperative-sticky": {"partition.assignment.strategy": "cooperative-sticky"},
    "group protocol of KIP-848": {"group.protocol": "consumer"},
}
_REFUSED = {"group.protocol", "partition.assignment.strategy"}


def measure(world: World, folder: Path) -> list[Figure]:
    """Take the share without any change first: what it is above zero, the machine is to blame for."""
    _widen(world)
    note = f"{PARTITIONS} partitions at {PER_PARTITION_S} small pictures a second, {CHANGES} changes in "
    note += f"{CHANGES * EVERY_S:.0f} s, two workers and a third; gaps of more than {GAP_S} s"
    calm = _measured(world, folder, {}, changes=0)
    figures = [Figure("partitions standing still, nobody joins or leaves", calm.share * 100, "%", "", None, note)]
    for name, properties in CANDIDATES.items():
        found = _measured(world, folder, properties, changes=CHANGES)
        goal = "≤ 2" if name == _OURS else ""
        said = f"{note}; {found.rebalances} rebalances, the longest gap {found.longest_s:.1f} s, "
        said += f"{found.answered_twice} frames answered more than once"
        figures.append(Figure(f"partitions standing still, {name}", found.share * 100, "%", goal, None, said))
        print(figures[-1].line(), said.partition("; ")[2], flush=True)
    return figures


def _widen(world: World) -> None:
    topic = topics.frames(world.pipeline)
    if len(world.partitions(topic)) < PARTITIONS:
        admin = AdminClient({"bootstrap.servers": world.bootstrap})
        for done in admin.create_partitions([NewPartitions(topic, PARTITIONS)]).values():
            done.result(30)
        wait_for(lambda: len(world.partitions(topic)) == PARTITIONS, 30, "partitions")


class _Worker:
    """A worker's process, its loop the usual one unless `properties` need another."""

    def __init__(self, world: World, folder: Path, properties: Mapping[str, str]) -> None:
        config = folder / "kafka.yaml"
        config.write_text(yaml.safe_dump({"kafka": {"properties": dict(properties)}}), encoding="utf-8")
        env = world.env | ({"SIGHTLINE_CONFIG": str(config)} if properties else {})
        program = [sys.executable, "-m", "benchmarks.assignors"] if _REFUSED.intersection(properties) else [SIGHTLINE]
        with tempfile.NamedTemporaryFile("wb", dir=folder, suffix=".log", delete=False) as self._log:
            self._process = subprocess.Popen(
                [*program, "worker", world.pipeline], env=env, stderr=self._log, stdout=subprocess.DEVNULL
            )

    def leave(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def assignments(self, group: str) -> int:
        """Count how often it was assigned partitions of a group."""
        logged = (json.loads(line) for line in Path(self._log.name).read_text().splitlines() if line.startswith("{"))
        return sum(line.get("event") == "assigned" and line.get("group") == group for line in logged)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ask it to end, and wait. Raises RuntimeError when it did not end well."""
        self.leave()
        # On a busy machine it may be asked to leave before it has come far enough to say so.
        if self._process.wait(20) not in {0, -signal.SIGTERM}:
            raise RuntimeError(f"a worker ended with {self._process.returncode}: {Path(self._log.name).read_text()}")


class _Flow:
    """Publishes small pictures at an even rate to every partition."""

    def __init__(self, world: World) -> None:
        self._topic = topics.frames(world.pipeline)
        self._producer = Producer({"bootstrap.servers": world.bootstrap, "linger.ms": 0})
        self.sent = 0

    def run(self, ended: threading.Event) -> None:
        """Publish until `ended`, with all acknowledged."""
        pictures = [jpeg(seed) for seed in range(50)]
        began = time.monotonic()
        while not ended.wait(max(began + self.sent / (PARTITIONS * PER_PARTITION_S) - time.monotonic(), 0)):
            partition = self.sent % PARTITIONS
            event = frame_headers(
                event_id=f"{began}-{self.sent}",
                source=f"/bench/{partition}",
                media_type="image/jpeg",
                extensions={"keep": "false"},
            )
            self._producer.produce(self._topic, pictures[self.sent % 50], partition=partition, headers=list(event))
            self._producer.poll(0)
            self.sent += 1
        if self._producer.flush(30):
            raise RuntimeError("frames were not acknowledged")


@dataclass(frozen=True, slots=True)
class _Measured:
    """What became of one stretch. `share` is that of the time of all partitions, `longest_s` the longest gap."""

    share: float
    longest_s: float
    rebalances: int
    answered_twice: int


def _measured(world: World, folder: Path, properties: Mapping[str, str], changes: int) -> _Measured:
    """Let frames flow, workers come and go, and look at the times of results."""
    results, group = topics.results(world.pipeline), topics.group("worker", world.pipeline)
    world.empty(topics.frames(world.pipeline))
    world.empty(results)
    with ExitStack() as stack:
        flow, publishing = _Flow(world), stack.enter_context(ExitStack())
        publishing.enter_context(in_background(flow.run))
        staying, _ = (stack.enter_context(_Worker(world, folder, properties)) for _ in range(2))
        wait_for(lambda: world.count(results) > PARTITIONS * PER_PARTITION_S * 5, 60, "a steady flow")
        time.sleep(EVERY_S)
        began, before = time.time(), staying.assignments(group)
        third: _Worker | None = None
        for change in range(CHANGES):
            if change < changes and third is None:
                third = stack.enter_context(_Worker(world, folder, properties))
            elif change < changes and third is not None:
                third.leave()
                third = None
            time.sleep(max(began + (change + 1) * EVERY_S - time.time(), 0))
        ended = time.time()
        rebalances = staying.assignments(group) - before
        time.sleep(EVERY_S)
        publishing.close()
        world.wait_for_lag(group, [topics.frames(world.pipeline)])
    times: dict[int, list[float]] = defaultdict(list)
    answers: Counter[str] = Counter()
    for message in world.read(results):
        result = json.loads(message.value() or b"")
        times[result["origin"]["partition"]].append(message.timestamp()[1] / 1000)
        answers[result["frame_id"]] += 1
    if len(answers) != flow.sent:
        raise RuntimeError(f"{len(answers)} of {flow.sent} frames have results")
    gaps = [gap for moments in times.values() for gap in _gaps(sorted(moments), began, ended)]
    share = sum(gaps) / (PARTITIONS * (ended - began))
    return _Measured(share, max(gaps, default=0.0), rebalances, sum(count > 1 for count in answers.values()))


def _gaps(moments: list[float], began: float, ended: float) -> list[float]:
    """Return the gaps that count, each as far as it lies between `began` and `ended`."""
    return [
        min(later, ended) - max(earlier, began)
        for earlier, later in pairwise(moments)
        if later - earlier > GAP_S and later > began and earlier < ended
    ]
