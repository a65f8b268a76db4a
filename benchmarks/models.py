"""Pipelines with models: the worker against the bare loop and against the sceptic's, on all cores, and its memory.

The model is the demo's polyp detector, at its own input and at twice that. The sceptic's loop needs ultralytics: it
runs where `SIGHTLINE_EXPORT_PYTHON` names an interpreter that has it, with confluent-kafka and psycopg2.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import cv2
import yaml

from benchmarks.figures import Figure
from benchmarks.latency import measure_with
from demo_models.making import endoscopy
from schemas import topics
from schemas.frame import frame_headers
from schemas.modelcard import CARD_FILE
from sightline.runtime.settings import WorkerSettings
from tests.world import DEMO_MODELS, Running, World, wait_for

LIKE = "polyp"
MODEL = DEMO_MODELS / "demo-polyp"
ROLE = "detector"
SIZES = (320, 640)
PICTURES = 24
PICTURE_WH = (1280, 720)
FRAMES = {320: 960, 640: 320}
WARM_UP = 64
BARE_S = 10.0
# Counting takes CPU, of which the worker shall have all.
_LOOK_EVERY_S = 1.0
ROUNDS = 2
_GATES = {"off": "gate off", "reject": "gate on"}


@dataclass(frozen=True, slots=True)
class _Rate:
    """Frames in a second, and in a CPU second."""

    wall: float
    cpu: float


def measure(world: World, folder: Path) -> list[Figure]:
    """Take all ratios, for each input size, with the gate on and off."""
    files = scene_files(folder)
    figures = []
    for size in SIZES:
        model = model_at(folder, size)
        for gate, said in _GATES.items():
            _set_gate(world, gate)
            _publish(world, files, FRAMES[size])
            bare, worker = [_bare(world, model, files)], []
            for _ in range(ROUNDS):
                worker.append(_worker(world, model, FRAMES[size]))
                bare.append(_bare(world, model, files))
            figures += _against_bare(f"polyp at {size}, {said}", worker, bare)
            if gate == "off":
                figures += _against_sceptic(world, model, size, worker)
            world.empty(topics.frames(world.pipeline))
    return figures


def measure_latency(world: World, folder: Path) -> list[Figure]:
    """Take the latency of polyp with its demo model."""
    pictures = [file.read_bytes() for file in scene_files(folder)]
    worker = world.start("worker", world.pipeline, "--model", f"{ROLE}={MODEL}")
    return measure_with(world, worker, pictures, "polyp's latency", "1280 x 720, demo model, one worker")


def measure_memory(world: World, folder: Path) -> list[Figure]:
    """Take the most memory resident in steady state, over a reload, and with a shadow."""
    files = scene_files(folder)
    for version, size in (("v1", 320), ("v2", 352)):
        world.run("models", "add", str(model_at(folder, size)), "--name", "demo", "--version", version)
    world.run("models", "activate", world.pipeline, "demo@v1")
    worker = world.start_worker().wait_ready()
    steps = {"in steady state": [], "in a reload": ["demo@v2"], "with a shadow": ["demo@v1", "--shadow"]}
    figures = []
    for step, arguments in steps.items():
        if arguments:
            world.run("models", "activate", world.pipeline, *arguments)
        before = world.count(topics.results(world.pipeline))
        _publish(world, files, FRAMES[320])
        _wait_for_results(world, before + FRAMES[320])
        note = f"{FRAMES[320]} frames of 1280 x 720 in a backlog; the most resident up to then, supervisor and child"
        figures.append(Figure(f"polyp worker's memory {step}", worker.rss_bytes() / 1e6, "MB", "< 500", None, note))
    worker.terminate()
    return figures


def scene_files(folder: Path) -> list[Path]:
    """Draw the pictures of the load into a folder, as JPEG."""
    files = []
    for number in range(PICTURES):
        scene = endoscopy.draw(700_000 + number, unseen=True, size_wh=PICTURE_WH)
        file = folder / f"scene-{number}.jpg"
        cv2.imwrite(str(file), scene.picture_bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])
        files.append(file)
    return files


def model_at(folder: Path, side: int) -> Path:
    """Copy the model, with another input size in its card."""
    target = folder / f"model-{side}"
    if not target.exists():
        target.mkdir()
        card = yaml.safe_load((MODEL / CARD_FILE).read_text(encoding="utf-8"))
        (target / CARD_FILE).write_text(
            yaml.safe_dump(card | {"input_wh": [side, side], "version": str(side)}), encoding="utf-8"
        )
        for file in card["files"]:
            (target / file).symlink_to(MODEL / file)
    return target


def _set_gate(world: World, gate: str) -> None:
    file = Path(world.env["SIGHTLINE_PIPELINES_DIR"]) / f"{world.pipeline}.yaml"
    definition = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(definition | {"gate": gate, "keep": "nothing", "overlay": False}), encoding="utf-8")


def _publish(world: World, files: Sequence[Path], count: int) -> None:
    pictures = [file.read_bytes() for file in files]
    world.publish(
        (
            pictures[n % len(pictures)],
            frame_headers(event_id=f"b{os.urandom(4).hex()}", source=f"/bench/{n % 16}", media_type="image/jpeg"),
        )
        for n in range(count)
    )


def _bare(world: World, model: Path, files: Sequence[Path]) -> _Rate:
    threads = WorkerSettings().batches_at_a_time()
    arguments = ["--pipeline", world.pipeline, "--seconds", str(BARE_S), "--threads", str(threads)]
    command = [sys.executable, "-m", "benchmarks.bare", *arguments, "--model", f"{ROLE}={model}", *map(str, files)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, env=world.env).stdout)
    return _Rate(answer["frames"] / answer["seconds"], answer["frames"] / answer["cpu_seconds"])


def _worker(world: World, model: Path, count: int) -> _Rate:
    """Let one worker work off the backlog from the beginning; the first frames are a warm-up."""
    results, group = topics.results(world.pipeline), topics.group("worker", world.pipeline)
    before = world.count(results)
    if before:
        world.forget_group(group)
    worker = world.start("worker", world.pipeline, "--model", f"{ROLE}={model}").wait_ready()
    _wait_for_results(world, before + WARM_UP)
    began = _work(worker)
    _wait_for_results(world, before + count)
    ended = _work(worker)
    worker.terminate()
    times = sorted(message.timestamp()[1] for message in world.read(results))[before:]
    rate = (count - WARM_UP) / ((times[-1] - times[WARM_UP - 1]) / 1000)
    return _Rate(rate, (ended[0] - began[0]) / (ended[1] - began[1]))


def _wait_for_results(world: World, count: int) -> None:
    results = topics.results(world.pipeline)
    wait_for(lambda: world.count(results) >= count, 600, f"{count} results", every_s=_LOOK_EVERY_S)


def _work(worker: Running) -> tuple[float, float]:
    return worker.metric("sightline_records_finished_total"), worker.metric("process_cpu_seconds_total")


def _against_bare(name: str, worker: Sequence[_Rate], bare: Sequence[_Rate]) -> list[Figure]:
    rate = fmean(one.wall for one in worker)
    ratio = rate / fmean(one.wall for one in bare)
    cpu_ratio = fmean(one.cpu for one in worker) / fmean(one.cpu for one in bare)
    note = "all cores, which broker and worker share; 1280 x 720"
    return [
        Figure(f"{name}: worker ÷ bare loop", ratio, "", "≥ 0.90", "bare loop", note),
        Figure(f"{name}: worker ÷ bare loop, frames per CPU second", cpu_ratio, "", "", "bare loop", note),
        Figure(f"{name}: worker, frames per second", rate, "1/s", "", None, note),
    ]


def _against_sceptic(world: World, model: Path, size: int, worker: Sequence[_Rate]) -> list[Figure]:
    python = os.environ.get("SIGHTLINE_EXPORT_PYTHON")
    if python is None:
        print("no SIGHTLINE_EXPORT_PYTHON: not compared with the sceptic's loop", file=sys.stderr)
        return []
    script = Path(__file__).with_name("sceptic_models.py")
    weights = (model / "model.onnx").resolve()
    command = [python, str(script), topics.frames(world.pipeline), str(FRAMES[size]), str(weights), str(size)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, env=world.env).stdout.splitlines()[-1])
    rate, ours = answer["frames"] / answer["seconds"], fmean(one.wall for one in worker)
    ceiling = answer["seconds"] / answer["model_seconds"]
    note = "confluent-kafka, ultralytics on the same ONNX, one insert a row, one commit a batch of 16"
    return [
        Figure(f"polyp at {size}: worker ÷ sceptic's loop", ours / rate, "", "", "sceptic's loop", note),
        Figure(f"polyp at {size}: ceiling over the sceptic's loop", ceiling, "", "", "sceptic's loop",
               "its time outside the model set to 0"),
    ]  # fmt: skip
