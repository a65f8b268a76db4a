"""`sightline models benchmark`: how fast a model is on this machine."""

import time
from pathlib import Path
from typing import Annotated

import cv2
import typer

from processors.infer.engine import Device
from processors.infer.interface import EngineError
from processors.infer.model import LoadedModel
from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.modelcard import Task
from sightline.cli.models_loaded import loaded_model
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_line, print_table
from sightline.cli.start import start
from sightline.models.benchmark import Speed, camera_pictures, measure
from sightline.models.pictures import evenly, find_pictures, read_pixels

_BYTES_IN_MB = 1_000_000
_COLUMNS = ("BATCH", "PREPARE MS", "RUN MS", "READ MS", "TOTAL MS", "PICTURES/S", "PEAK MB")
_PICTURES = 8


def benchmark(
    *,
    model: Annotated[str, typer.Argument(help="A model's folder or .onnx file, or NAME[@VERSION] in the store.")],
    batch: Annotated[str, typer.Option(help="Batch sizes, separated by commas.")] = "1,4,8",
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="Threads; by default the setting's.")] = None,
    device: Annotated[
        Device | None, typer.Option(help="auto, cpu, cuda or tensorrt; by default the setting's.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long to run each size.")] = 5.0,
    pictures: Annotated[Path | None, typer.Option(help="A folder of pictures to run on; by default noise.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on this machine: milliseconds a picture for each step, pictures a second, memory.

    The steps run one after the other here; a worker overlaps them. Memory is the most that the process took so far,
    so sizes go from small to large.

    Examples: [bold]sightline models benchmark demo_models/demo-banana[/bold],
    [bold]sightline models benchmark polyp@3 --batch 1,16 --device cuda --json[/bold]
    """
    settings = start()
    sizes = _sizes(batch)
    cv2.setNumThreads(settings.worker.opencv_threads)
    chosen = evenly(find_pictures(pictures), _PICTURES) if pictures is not None else []
    samples = [read_pixels(path) for path in chosen] or camera_pictures()
    with loaded_model(model, settings, device=device, threads=threads, max_batch=max(sizes)) as loaded:
        if loaded.card.task is Task.LANDMARKS:
            raise ModelError(ModelCode.TASK_WRONG, model, "a model of landmarks sees no pictures")
        speeds = []
        for size in sizes:
            speed = _measure(loaded, samples, size, seconds)
            speeds.append(speed)
            if as_json:
                print_json(_facts(speed, loaded))
    if not as_json:
        print_table(_COLUMNS, (_row(speed) for speed in speeds))
        print_line(f"{loaded.card.name}@{loaded.card.version} on {loaded.engine.provider}")


def _measure(loaded: LoadedModel, samples: list, size: int, seconds: float) -> Speed:  # type: ignore[type-arg]
    try:
        return measure(loaded, samples, size, seconds, time.perf_counter)
    except EngineError as error:
        raise ModelError(ModelCode.MEMORY_EXCEEDED, f"batch {size}", f"the engine fails: {error}") from None


def _sizes(text: str) -> list[int]:
    try:
        sizes = sorted({int(part) for part in text.split(",")})
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < 1:
        raise ConfigurationError("--batch", f"{text!r} is not numbers from 1 up, separated by commas")
    return sizes


def _facts(speed: Speed, loaded: LoadedModel) -> dict[str, object]:
    return {
        "model": loaded.card.name,
        "version": loaded.card.version,
        "digest": loaded.digest,
        "provider": loaded.engine.provider,
        "batch": speed.batch,
        "prepare_ms": round(speed.prepare_ms, 3),
        "run_ms": round(speed.run_ms, 3),
        "read_ms": round(speed.read_ms, 3),
        "pictures_per_s": round(speed.pictures_per_s, 2),
        "peak_bytes": speed.peak_bytes,
        "rounds": speed.rounds,
    }


def _row(speed: Speed) -> tuple[str, ...]:
    return (
        str(speed.batch),
        f"{speed.prepare_ms:.2f}",
        f"{speed.run_ms:.2f}",
        f"{speed.read_ms:.2f}",
        f"{speed.total_ms:.2f}",
        f"{speed.pictures_per_s:.1f}",
        f"{speed.peak_bytes / _BYTES_IN_MB:.0f}",
    )
