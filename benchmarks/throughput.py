"""Frames a second: the worker against the bare loop, against the sceptic's loop, and two workers against one.

Whatever is measured runs on core 0 alone; the broker and the database run on core 1.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from benchmarks.figures import Figure
from benchmarks.photos import photos
from schemas import topics
from schemas.frame import frame_headers
from tests.world import Running, World, wait_for

PHOTOS = 24
FRAMES = 480
WARM_UP = 64
BARE_S = 8.0
# Counting takes CPU, of which the workers shall have all.
_LOOK_EVERY_S = 1.0
ROUNDS = 2
_SETTING = "1 work thread, OpenCV 1 thread, 2.7 MP, batch of 16, one core"


def measure(world: World, folder: Path) -> list[Figure]:
    """Take all figures of the pipeline as it is, pictures kept; two rounds, each between two runs of the bare loop."""
    files = _publish(world, folder, keep=True)
    bare, worker, sceptic = [_bare(files, keep=True)], [], []
    for _ in range(ROUNDS):
        worker.append(_workers(world, 1))
        bare.append(_bare(files, keep=True))
        sceptic.append(_sceptic(world))
    two = _workers(world, 2)
    bare_rate, bare_cpu_rate = fmean(rate for rate, _ in bare), fmean(rate for _, rate in bare)
    one_rate, one_cpu_rate = fmean(rate for rate, _ in worker), fmean(rate for _, rate in worker)
    sceptic_rate = fmean(sceptic)
    kept = f"{_SETTING}; every picture is published again, to be kept"
    split = "each on a core of its own; the broker shares them"
    return [
        Figure("bare loop, images per CPU second", bare_cpu_rate, "1/s", "60", None, _SETTING),
        Figure("worker that keeps pictures ÷ bare loop", one_rate / bare_rate, "", "", "bare loop", kept),
        Figure("worker that keeps pictures, frames per second", one_rate, "1/s", "", None, kept),
        Figure("worker that keeps pictures ÷ sceptic's loop", one_rate / sceptic_rate, "", "≥ 3 or the ceiling",
               "sceptic's loop", f"{kept}; the sceptic keeps none, and writes its rows itself"),
        Figure("bare loop ÷ sceptic's loop: the ceiling", bare_rate / sceptic_rate, "", "", "sceptic's loop", _SETTING),
        Figure("two workers ÷ one, frames per CPU second", two[1] / one_cpu_rate, "", "≥ 0.95", "one worker", split),
        Figure("two workers ÷ one, frames per second", two[0] / one_rate, "", "", "one worker", split),
    ]  # fmt: skip


def measure_results_only(world: World, folder: Path) -> list[Figure]:
    """Take the worker's rate where frames ask for their picture not to be kept."""
    files = _publish(world, folder, keep=False)
    bare, worker = [_bare(files, keep=False)], []
    for _ in range(ROUNDS):
        worker.append(_workers(world, 1))
        bare.append(_bare(files, keep=False))
    ratio = fmean(rate for rate, _ in worker) / fmean(rate for rate, _ in bare)
    cpu_ratio = fmean(rate for _, rate in worker) / fmean(rate for _, rate in bare)
    return [
        Figure("worker ÷ bare loop, one core", ratio, "", "≥ 0.95", "bare loop", _SETTING),
        Figure("worker ÷ bare loop, frames per CPU second", cpu_ratio, "", "", "bare loop", _SETTING),
    ]


def _publish(world: World, folder: Path, *, keep: bool) -> list[Path]:
    pictures = photos(PHOTOS)
    files = [folder / f"photo-{number}.jpg" for number in range(PHOTOS)]
    for file, picture in zip(files, pictures, strict=True):
        file.write_bytes(picture)
    asked = {} if keep else {"keep": "false"}
    world.publish(
        (
            pictures[n % PHOTOS],
            frame_headers(event_id=f"b{n}", source=f"/bench/{n % 16}", media_type="image/jpeg", extensions=asked),
        )
        for n in range(FRAMES)
    )
    return files


def _bare(files: list[Path], *, keep: bool) -> tuple[float, float]:
    """Return frames per second and per CPU second of the bare loop on core 0."""
    arguments = ["--pipeline", "civic", "--seconds", str(BARE_S), "--threads", "1", *(["--keep"] if keep else [])]
    command = _on_core(0, [sys.executable, "-m", "benchmarks.bare", *arguments])
    done = subprocess.run([*command, *map(str, files)], check=True, capture_output=True)
    answer = json.loads(done.stdout)
    return answer["frames"] / answer["seconds"], answer["frames"] / answer["cpu_seconds"]


def _sceptic(world: World) -> float:
    command = [sys.executable, "-m", "benchmarks.sceptic", topics.frames(world.pipeline), str(FRAMES)]
    done = subprocess.run(_on_core(0, command), check=True, capture_output=True, env=world.env)
    answer = json.loads(done.stdout)
    return float(answer["frames"] / answer["seconds"])


def _workers(world: World, count: int) -> tuple[float, float]:
    """Read the whole topic with a fresh group, each worker on its own core.

    Return frames per second, by the broker's times, and frames per CPU second, both after the warm-up.
    """
    results = topics.results(world.pipeline)
    before = world.count(results)
    if before:
        world.forget_group(topics.group("worker", world.pipeline))
    workers = [_start_on(world, core) for core in range(count)]
    for worker in workers:
        worker.wait_ready()
    wait_for(lambda: world.count(results) >= before + WARM_UP * count, 120, "the warm-up", every_s=_LOOK_EVERY_S)
    began = _work(workers)
    wait_for(lambda: world.count(results) >= before + FRAMES, 300, "all results", every_s=_LOOK_EVERY_S)
    ended = _work(workers)
    for worker in workers:
        worker.terminate()
    times = sorted(message.timestamp()[1] for message in world.read(results))[before:]
    warm = WARM_UP * count
    rate = (FRAMES - warm) / ((times[-1] - times[warm - 1]) / 1000)
    return rate, (ended[0] - began[0]) / (ended[1] - began[1])


def _work(workers: list[Running]) -> tuple[float, float]:
    """Return frames finished and CPU seconds used so far."""
    finished = sum(worker.metric("sightline_records_finished_total") for worker in workers)
    return finished, sum(worker.metric("process_cpu_seconds_total") for worker in workers)


def _start_on(world: World, core: int) -> Running:
    """Start a worker that sees one core only: it inherits ours."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return world.start_worker()
    finally:
        os.sched_setaffinity(0, ours)


def _on_core(core: int, command: list[str]) -> list[str]:
    return ["taskset", "-c", str(core), *command]
