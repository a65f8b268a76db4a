"""`python -m benchmarks.soak [--minutes 60] [--json FILE]`: whether any process grows.

Two workers (civic; polyp with the demo model), both sinks and the monitor run on real services under a steady, modest
load. Every 10 s the memory of each process is sampled, a worker and its supervisor apart: what is resident, and of that
what the process has written and shares with nobody (pages of libraries come and go with other processes that map them).
The first third warms up, on a backlog to begin with. Over the other two thirds a line is fitted; the slope by least
squares must be at most 5 MB an hour, of both kinds of memory and of each process. At the end every frame must have
exactly one answer, on the topics and in the database. Exit code 1 otherwise.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.slope import Slope, slope_per_hour
from benchmarks.soak_load import Answers, civic_frames, following, polyp_frames, publishing, rows_of
from infra.local.kafka import Kafka
from infra.local.postgres import Postgres
from infra.local.process import free_port
from infra.local.s3 import S3
from schemas import topics
from tests.scenes import put_in_force, store
from tests.world import BUILT_IN, DEMO_MODELS, Running, World, make_world

GOAL_MB_PER_HOUR = 5.0
CIVIC_PER_S, POLYP_PER_S = 5.0, 3.0
SAMPLE_EVERY_S = 10.0
_SAY_EVERY = 30
_WARM_UP_SHARE = 1 / 3
_MB = 1e6
# What was read is gone minutes later: an hour's frames need not stay on the disk.
_RETENTION = {"segment.ms": "60000", "retention.ms": "300000"}


@dataclass
class Memory:
    """One process' samples, in MB."""

    name: str
    pid: int
    seconds: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def sample(self, at_s: float) -> None:
        """Take one sample. Raises OSError when the process has gone."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        sizes_kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        self.seconds.append(at_s)
        self.resident.append(sizes_kb["Rss"] * 1024 / _MB)
        self.own.append(sizes_kb["Private_Dirty"] * 1024 / _MB)

    def slopes(self) -> tuple[Slope, Slope]:
        """Return those of resident and of own memory, without the warm-up."""
        began = sum(second < self.seconds[-1] * _WARM_UP_SHARE for second in self.seconds)
        times = self.seconds[began:]
        return slope_per_hour(times, self.resident[began:]), slope_per_hour(times, self.own[began:])

    @property
    def grows(self) -> bool:
        """Whether a slope is over the goal."""
        return any(slope.least_squares > GOAL_MB_PER_HOUR for slope in self.slopes())


def main(arguments: list[str]) -> int:
    """Run the soak, print the table, and write the samples where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        civic, polyp = _worlds(stack)
        processes = _start(civic, polyp)
        asked = {world.pipeline: Answers() for world in (civic, polyp)}
        try:
            memories = _soak(civic, polyp, asked, processes, options.minutes * 60)
        except (FileNotFoundError, ProcessLookupError):  # of a process that is no more, nor are its samples of use
            _say_last_words(processes)
            raise
        findings = [finding for world in (civic, polyp) for finding in _audit(world, asked[world.pipeline])]
        findings += [f"{name} ended" for name, one in processes.items() if one.process.poll() is not None]
    counts = {name: (len(one.asked), one.results.total(), one.letters.total()) for name, one in asked.items()}
    print("\n".join([*_table(memories), "", *_said(counts), *findings[:20]]), flush=True)
    if options.json is not None:
        facts = {"minutes": options.minutes, "goal_mb_per_hour": GOAL_MB_PER_HOUR, "frames": counts}
        facts |= {"findings": findings, "processes": [_facts(memory) for memory in memories]}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 1 if findings or any(memory.grows for memory in memories) else 0


def _worlds(stack: ExitStack) -> tuple[World, World]:
    """Start the services; return two pipelines that share topics' broker, database and objects."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    kafka, postgres, s3 = (
        Kafka(folder / "kafka", free_port(), die_with_us=True),
        Postgres(folder / "postgres", free_port(), die_with_us=True),
        S3(folder / "s3", free_port(), die_with_us=True),
    )
    for service in (kafka, postgres, s3):
        service.start()
        stack.callback(service.stop)
    access = {"endpoint_url": s3.endpoint_url, "access_key": s3.access_key, "secret_key": s3.secret_key}
    civic = stack.enter_context(
        make_world(folder / "world", kafka.bootstrap, postgres.url, f"s3://{s3.bucket}", access)
    )
    name = civic.pipeline.replace("civic", "polyp")
    definition = (BUILT_IN / "polyp/pipeline.yaml").read_text(encoding="utf-8")
    file = Path(civic.env["SIGHTLINE_PIPELINES_DIR"]) / f"{name}.yaml"
    file.write_text(definition.replace("name: polyp\n", f"name: {name}\n"), encoding="utf-8")
    polyp = replace(civic, pipeline=name)
    polyp.run("topics", "apply", name, "--yes")
    for world in (civic, polyp):
        for topic in (topics.frames, topics.artifacts, topics.results, topics.dead_letters):
            for setting, value in _RETENTION.items():
                world.set_topic(topic(world.pipeline), setting, value)
    put_in_force(polyp, store(polyp, DEMO_MODELS / "demo-polyp"))
    return civic, polyp


def _start(civic: World, polyp: World) -> Mapping[str, Running]:
    both = civic.pipeline, polyp.pipeline
    processes = {
        "worker civic": civic.start_worker(),
        "worker polyp": polyp.start_worker(),
        "sink postgres": civic.start("sink", "postgres", *both),
        "sink objects": civic.start("sink", "objects", *both),
        "monitor": civic.start("monitor", *both),
    }
    for name, process in processes.items():
        try:
            process.wait_ready(120)
        except (AssertionError, OSError):
            _say_last_words({name: process})
            raise
    return processes


def _say_last_words(processes: Mapping[str, Running]) -> None:
    for name, one in processes.items():
        print(f"{name}, code {one.process.poll()}:\n{one.log.read_text()[-12000:]}", file=sys.stderr)


def _soak(
    civic: World, polyp: World, asked: Mapping[str, Answers], processes: Mapping[str, Running], seconds: float
) -> list[Memory]:
    memories = list(_memories(processes))
    with following(civic, asked[civic.pipeline]), following(polyp, asked[polyp.pipeline]):
        with _load(civic, polyp, asked):
            began = time.monotonic()
            for number in range(int(seconds / SAMPLE_EVERY_S) + 1):
                time.sleep(max(began + number * SAMPLE_EVERY_S - time.monotonic(), 0))
                for memory in memories:
                    memory.sample(time.monotonic() - began)
                if number % _SAY_EVERY == 0:
                    now = ", ".join(f"{memory.name} {memory.own[-1]:.1f}" for memory in memories)
                    print(f"{number * SAMPLE_EVERY_S / 60:4.0f} min, own MB: {now}", flush=True)
        for world in (civic, polyp):
            world.wait_until_settled()
        time.sleep(2)  # the last answers reach their followers
    return memories


@contextmanager
def _load(civic: World, polyp: World, asked: Mapping[str, Answers]) -> Iterator[None]:
    pictures = DEMO_MODELS / "samples/polyp"
    with (
        publishing(civic, civic_frames(), CIVIC_PER_S, asked[civic.pipeline]),
        publishing(polyp, polyp_frames(pictures), POLYP_PER_S, asked[polyp.pipeline]),
    ):
        yield


def _memories(processes: Mapping[str, Running]) -> Iterator[Memory]:
    for name, running in processes.items():
        children = psutil.Process(running.process.pid).children(recursive=True)
        yield Memory(f"{name}, supervisor" if children else name, running.process.pid)
        for number, child in enumerate(children, 1):
            yield Memory(name if len(children) == 1 else f"{name}, child {number}", child.pid)


def _audit(world: World, answers: Answers) -> list[str]:
    on_topics = [f"topics: {finding}" for finding in answers.findings()]
    return on_topics + [f"rows: {finding}" for finding in rows_of(world, answers).findings()]


def _table(memories: list[Memory]) -> list[str]:
    series = "start | end | largest | MB/h | median MB/h"
    head = f"| process | resident MB: {series} | own MB: {series} | ≤ {GOAL_MB_PER_HOUR:.0f} MB/h |"
    lines = ["", head, "|---|" + "---:|" * 10 + "---|"]
    for memory in memories:
        resident, own = memory.slopes()
        cells = [
            f"{taken[0]:.1f} | {taken[-1]:.1f} | {max(taken):.1f} | {slope.least_squares:+.2f} | {slope.median:+.2f}"
            for taken, slope in ((memory.resident, resident), (memory.own, own))
        ]
        lines.append(f"| {memory.name} | {' | '.join(cells)} | {'**no**' if memory.grows else 'yes'} |")
    return lines


def _said(counts: Mapping[str, tuple[int, int, int]]) -> list[str]:
    return [
        f"{name}: {asked} frames, {results} results, {letters} dead letters"
        for name, (asked, results, letters) in counts.items()
    ]


def _facts(memory: Memory) -> dict[str, Any]:
    resident, own = memory.slopes()
    slopes = {"resident_mb_per_hour": asdict(resident), "own_mb_per_hour": asdict(own)}
    return {"name": memory.name, "grows": memory.grows} | slopes | {
        "seconds": [round(one, 1) for one in memory.seconds],
        "resident_mb": [round(one, 2) for one in memory.resident],
        "own_mb": [round(one, 2) for one in memory.own],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
