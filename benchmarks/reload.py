"""What a switch of models costs the frames that come meanwhile: p99 during switches against p99 before them."""

import time
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure
from benchmarks.models import model_at, scene_files
from schemas.activation import ModelAddress
from tests.load import Load, capacity, latencies_s
from tests.scenes import put_in_force, store
from tests.world import Running, World, wait_for

SIDES = (320, 352)
BACKLOG = 400
SWITCHES = 10
STEADY_S = 20.0
SWITCH_S = 2.0


def measure(world: World, folder: Path) -> list[Figure]:
    """Switch ten times under half of what one worker can do; a switch's window is two seconds from its command on."""
    pictures = [file.read_bytes() for file in scene_files(folder)]
    versions = [store(world, model_at(folder, side)) for side in SIDES]
    put_in_force(world, versions[0])
    worker = world.start_worker().wait_ready()
    most_per_s, _ = capacity(world, pictures, BACKLOG)
    load = Load(world, most_per_s / 2, pictures)
    with load.flowing():
        time.sleep(2)
        steady = _window(STEADY_S)
        switches = [_switch(world, worker, versions[(number + 1) % 2]) for number in range(SWITCHES)]
    before = float(np.quantile(latencies_s(world, load.published, *steady), 0.99))
    pooled = [latency for window in switches for latency in latencies_s(world, load.published, *window)]
    during = float(np.quantile(pooled, 0.99))
    worker.terminate()
    note = f"{SWITCHES} switches at {load.per_s:.0f} frames/s, half of the most; before {before * 1000:.0f} ms"
    return [
        Figure("p99 during switches of the model ÷ before", during / before, "", "≤ 2", "p99 before", note),
        Figure("p99 during switches of the model", during * 1000, "ms", "", None, note),
    ]


def _switch(world: World, worker: Running, version: ModelAddress) -> tuple[float, float]:
    """Activate a version, without the command's own start; return the window in milliseconds."""
    loads = worker.metric("sightline_model_load_seconds_count")
    began = time.time() * 1000
    put_in_force(world, version)
    wait_for(lambda: worker.metric("sightline_model_load_seconds_count") > loads, 60, "the switch", every_s=0.25)
    ended = max(time.time() * 1000, began + SWITCH_S * 1000)
    time.sleep(max(ended / 1000 - time.time(), 0))
    return began, ended


def _window(seconds: float) -> tuple[float, float]:
    began = time.time() * 1000
    time.sleep(seconds)
    return began, time.time() * 1000
