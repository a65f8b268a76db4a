"""`python -m benchmarks [NAME…]`: measure, print, and write `results.json`. Names: those in `MEASUREMENTS`."""

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from benchmarks import (
    caching,
    exactly_once,
    latency,
    memory,
    models,
    rebalance,
    reload,
    replay,
    replay_beside,
    rows,
    throughput,
)
from benchmarks.figures import Figure, write
from infra.local.kafka import Kafka
from infra.local.postgres import Postgres
from infra.local.process import free_port
from infra.local.s3 import S3
from infra.local.service import LocalService
from tests.world import World, make_world

Service = TypeVar("Service", bound=LocalService)


def _memory(world: World, _: Path) -> list[Figure]:
    note = f"{memory.PICTURES} pictures of 1 MB, a third of them 24 MP; the most resident, of all its processes"
    return [
        Figure(f"{name}'s memory with a backlog", peak / 1e6, "MB", f"< {memory.GOALS[name] / 1e6:.0f}", None, note)
        for name, peak in memory.peak_bytes(world).items()
    ]


MEASUREMENTS: dict[str, Callable[[World, Path], list[Figure]]] = {
    "throughput": throughput.measure,
    "results-only": throughput.measure_results_only,
    "latency": lambda world, _: latency.measure(world),
    "rows": lambda world, _: rows.measure(world.engine),
    "memory": _memory,
    "models": models.measure,
    "models-latency": models.measure_latency,
    "models-memory": models.measure_memory,
    "reload": reload.measure,
    "cache": lambda _, folder: caching.measure(folder),
    "exactly-once": exactly_once.measure,
    "replay": replay.measure,
    "replay-models": replay_beside.measure,
    "rebalance": rebalance.measure,
}
# Each measurement's world has the civic pipeline, unless it stands here.
_LIKE = dict.fromkeys(("models", "models-latency", "models-memory", "reload", "replay-models"), models.LIKE)


def main(names: list[str]) -> int:
    """Run the measurements asked for, each in a world of its own."""
    wrong = [name for name in names if name not in MEASUREMENTS]
    if wrong:
        print(f"no such measurement: {', '.join(wrong)}; there are {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        folder.chmod(0o755)  # PostgreSQL may run as another user
        kafka = _start(stack, Kafka(folder / "kafka", free_port(), die_with_us=True))
        postgres = _start(stack, Postgres(folder / "postgres", free_port(), die_with_us=True))
        s3 = _start(stack, S3(folder / "s3", free_port(), die_with_us=True))
        access = {"endpoint_url": s3.endpoint_url, "access_key": s3.access_key, "secret_key": s3.secret_key}
        for name in names or MEASUREMENTS:
            own = folder / name
            own.mkdir()
            with make_world(
                own, kafka.bootstrap, postgres.url, f"s3://{s3.bucket}", access, _LIKE.get(name, "civic")
            ) as world:
                figures = MEASUREMENTS[name](world, own)
            for figure in figures:
                print(figure.line(), flush=True)
            write(figures)
    return 0


def _start(stack: ExitStack, service: Service) -> Service:
    service.start()
    stack.callback(service.stop)
    # Servers stay off core 0, which belongs to what is measured.
    if service.process is not None:
        for task in Path(f"/proc/{service.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {1})
    return service


if __name__ == "__main__":
    sys.exit(main([name.replace("_", "-") for name in sys.argv[1:]]))
