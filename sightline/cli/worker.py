"""`sightline worker`: the processor agent."""

import os
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Annotated

import cv2
import pillow_heif
import typer

from processors.budget import PixelBudget
from processors.outcome import Context
from schemas import topics
from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition
from sightline.cli.loading import loader, max_frames, pinned_models
from sightline.cli.pipelines import load_definition
from sightline.cli.resultcache import open_result_cache
from sightline.models.cache import ModelCache
from sightline.models.store import open_model_store
from sightline.runtime.clock import Clock, SystemClock
from sightline.runtime.faults import Faults
from sightline.runtime.log import configure_logging
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings, load_settings
from streams.alerts import Alarm
from streams.claims import open_claims
from streams.deadletters import DeadLetters
from streams.loop import BatchLimits, Loop
from streams.models import ActivatedModels, FixedModels, WorkerModels
from streams.offload import Offload
from streams.process import Process
from streams.publisher import Publisher
from streams.worker import Answer, WorkerHandler

HttpPort = Annotated[
    int | None, typer.Option(help="Serve /metrics and /health on this port; 0 takes a free one, printed.")
]


def worker(
    pipelines: Annotated[list[str], typer.Argument(help="Pipelines to work for, such as `civic`.")],
    http_port: HttpPort = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Use this model's folder or .onnx file, whatever is activated: PIPELINE/ROLE=…, or ROLE=… where "
            "there is one pipeline. Repeatable."
        ),
    ] = None,
) -> None:
    """Take frames, answer each with a result or a dead letter. Any number of workers share the load.

    Models are those that `sightline models activate` put in force.

    Examples: [bold]sightline worker civic --http-port 8080[/bold], [bold]sightline worker polyp banana[/bold]
    """
    settings = load_settings()
    definitions = [load_definition(name, settings) for name in pipelines]
    configure_logging(settings.log)
    _limit_native_threads(settings.worker.opencv_threads)
    clock = SystemClock()
    faults = Faults(settings.fault.point)
    publisher = Publisher(settings.kafka, clock)
    store = None if settings.objects.url is None else open_store(settings.objects.url, settings.s3)
    offload = Offload(store)
    claims = open_claims(settings)
    dead_letters = DeadLetters(publisher, offload, clock, process_name())
    pixels = PixelBudget(settings.worker.decoded_pixels)
    cache = open_result_cache(settings)
    pins = _pins(definitions, model or [])
    models: dict[str, WorkerModels] = {}

    def loop(definition: PipelineDefinition) -> Loop[list[Answer]]:
        group = topics.group("worker", definition.name)
        alarm = Alarm(publisher, clock, group, definition.name)
        in_force = models[definition.name] = _models(definition, pins[definition.name], settings, clock, alarm)
        handler = WorkerHandler(
            Context(definition, clock.now, time.perf_counter, pixels, in_force.lineup, cache),
            claims=claims,
            offload=offload,
            publisher=publisher,
            dead_letters=dead_letters,
            faults=faults,
            check_models=in_force.check,
        )
        frames = [topics.frames(definition.name)]
        return Loop(settings.kafka, group, frames, handler, alarm, _limits(definition, settings), clock, faults)

    loops = [loop(definition) for definition in definitions]
    with ExitStack() as stack:
        if cache is not None:
            stack.callback(cache.close)
        for in_force in models.values():
            in_force.start()
        stack.callback(_stop_all, list(models.values()))
        Process(loops, publisher, list(models.values())).run(http_port, announce)


def _stop_all(models: Sequence[WorkerModels]) -> None:
    """End them side by side: each may take seconds, and SIGTERM gives the process ten in all."""
    with ThreadPoolExecutor(len(models), thread_name_prefix="stop") as threads:
        list(threads.map(lambda one: one.stop(), models))


def _pins(definitions: Sequence[PipelineDefinition], options: Sequence[str]) -> dict[str, list[str]]:
    """Sort `--model` options by pipeline. Raises ConfigurationError for a pipeline that is not worked for."""
    pins: dict[str, list[str]] = {definition.name: [] for definition in definitions}
    for option in options:
        pipeline, slash, rest = option.partition("/")
        if slash and pipeline in pins:
            pins[pipeline].append(rest)
        elif len(definitions) == 1:
            pins[definitions[0].name].append(option)
        else:
            raise ConfigurationError(
                "--model", f"{option!r} is not PIPELINE/ROLE=PATH, and there are several pipelines"
            )
    return pins


def _models(
    definition: PipelineDefinition, pins: Sequence[str], settings: Settings, clock: Clock, alarm: Alarm
) -> WorkerModels:
    """Return the pipeline's models: those that are pinned, or those that are activated."""
    if pins or not definition.models:
        return FixedModels(pinned_models(definition, pins, settings))
    store = open_model_store(settings)
    cache = ModelCache(settings.models.cache_folder(), settings.models.cache_bytes, store.download)
    return ActivatedModels(definition, settings.kafka, cache.use, loader(definition, settings), clock, alarm.refused)


def _limit_native_threads(threads: int) -> None:
    """Keep the decoders to their share of the cores, and their warnings about bad pictures out of our log."""
    cv2.setNumThreads(threads)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    pillow_heif.options.DECODE_THREADS = threads


def process_name() -> str:
    """Return what names this process among others."""
    return f"{socket.gethostname()}-{os.getpid()}"


def announce(port: int) -> None:
    """Print where metrics and health are served."""
    typer.echo(f"http://127.0.0.1:{port}/metrics /health/live /health/ready")


def _limits(definition: PipelineDefinition, settings: Settings) -> BatchLimits:
    return BatchLimits(
        records=max_frames(definition, settings),
        size_bytes=definition.batch.max_bytes,
        wait_s=definition.batch.max_wait_ms / 1000,
        inflight_bytes=settings.worker.inflight_bytes,
        threads=settings.worker.batches_at_a_time(),
        claim_bytes=definition.input.max_bytes,
    )
