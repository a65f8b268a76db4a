"""Frames a second: the worker against the bare loop, against the sceptic's loop, and two workers against one.

Whatever is measured runs on core 0 alone; the broker and the database run on core 1.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from benchmarks.figures import Figure
from benchmarks.photos import photos
from schemas import topics
from schemas.frame import frame_headers
from sightline.runtime.settings import WorkerSettings
from tests.world import Running, World, wait_for

PHOTOS = 24
FRAMES = 480
WARM_UP = 64
BARE_S = 8.0
ROUNDS = 2


def measure(world: World, folder: Path) -> list[Figure]:
    """Take all figures; two rounds, each between two runs of the bare loop."""
    pictures = photos(PHOTOS)
    files = [folder / f"photo-{number}.jpg" for number in range(PHOTOS)]
    for file, picture in zip(files, pictures, strict=True):
        file.write_bytes(picture)
    _publish(world, pictures)
    bare, worker, sceptic = [_bare(files)], [], []
    for _ in range(ROUNDS):
        worker.append(_workers(world, 1))
        bare.append(_bare(files))
        sceptic.append(_sceptic(world))
    one, two = worker[-1], _workers(world, 2)
    bare_rate = fmean(run["frames"] / run["seconds"] for run in bare)
    bare_cpu_rate = fmean(run["frames"] / run["cpu_seconds"] for run in bare)
    worker_rate, sceptic_rate = fmean(rate for _, rate in worker), fmean(sceptic)
    worker_cpu_rate = fmean(rate for rate, _ in worker)
    threads = f"{WorkerSettings().threads} threads, OpenCV 1 thread, 2.7 MP, batch of 16, one core"
    return [
        Figure("bare loop, images per CPU second", bare_cpu_rate, "1/s", "60", None, threads),
        Figure("worker ÷ bare loop, one core", worker_rate / bare_rate, "", "≥ 0.95", "bare loop", threads),
        Figure("worker ÷ bare loop, frames per CPU second", worker_cpu_rate / bare_cpu_rate, "", "",
               "bare loop", threads),
        Figure("worker ÷ sceptic's loop, one core", worker_rate / sceptic_rate, "", "≥ 3", "sceptic's loop", threads),
        Figure("worker, frames per second, one core", worker_rate, "1/s", "", None, threads),
        Figure("two workers ÷ one, frames per CPU second", two[0] / one[0], "", "≥ 0.95", "one worker",
               "each on a core of its own; the broker shares them"),
        Figure("two workers ÷ one, frames per second", two[1] / one[1], "", "", "one worker",
               "the broker shares the two cores"),
    ]  # fmt: skip


def _publish(world: World, pictures: list[bytes]) -> None:
    world.publish(
        (
            pictures[n % len(pictures)],
            frame_headers(event_id=f"b{n}", source=f"/bench/{n % 16}", media_type="image/jpeg"),
        )
        for n in range(FRAMES)
    )


def _bare(files: list[Path]) -> dict[str, float]:
    command = _on_core(
        0, [sys.executable, "-m", "benchmarks.bare", "civic", str(BARE_S), str(WorkerSettings().threads)]
    )
    done = subprocess.run([*command, *map(str, files)], check=True, capture_output=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _sceptic(world: World) -> float:
    command = [sys.executable, "-m", "benchmarks.sceptic", topics.frames(world.pipeline), str(FRAMES)]
    done = subprocess.run(_on_core(0, command), check=True, capture_output=True, env=world.env)
    answer = json.loads(done.stdout)
    return float(answer["frames"] / answer["seconds"])


def _workers(world: World, count: int) -> tuple[float, float]:
    """Read the whole topic with a fresh group, each worker on its own core.

    Return frames per CPU second and frames per second, both after the warm-up; the second by the broker's times.
    """
    results = topics.results(world.pipeline)
    before = world.count(results)
    if before:
        world.forget_group(topics.group("worker", world.pipeline))
    workers = [world.start_worker() for _ in range(count)]
    for core, worker in enumerate(workers):
        worker.wait_ready()
        _pin(worker, core)
    wait_for(lambda: world.count(results) >= before + WARM_UP * count, 120, "the warm-up")
    began = _work(workers)
    wait_for(lambda: world.count(results) >= before + FRAMES, 300, "all results")
    ended = _work(workers)
    for worker in workers:
        worker.terminate()
    times = sorted(message.timestamp()[1] for message in world.read(results))[before:]
    warm = WARM_UP * count
    rate = (FRAMES - warm) / ((times[-1] - times[warm - 1]) / 1000)
    return (ended[0] - began[0]) / (ended[1] - began[1]), rate


def _work(workers: list[Running]) -> tuple[float, float]:
    """Return frames finished and CPU seconds used so far."""
    finished = sum(worker.metric("sightline_records_finished_total") for worker in workers)
    return finished, sum(worker.metric("process_cpu_seconds_total") for worker in workers)


def _pin(running: Running, core: int) -> None:
    """Keep every thread of a process on one core."""
    for task in Path(f"/proc/{running.process.pid}/task").iterdir():
        with suppress(ProcessLookupError):  # a thread may end meanwhile
            os.sched_setaffinity(int(task.name), {core})


def _on_core(core: int, command: list[str]) -> list[str]:
    return ["taskset", "-c", str(core), *command]
