"""`sightline worker`: the processor agent."""

import os
import socket
import time
from typing import Annotated

import cv2
import pillow_heif
import typer

from processors.budget import PixelBudget
from processors.outcome import Context
from schemas import topics
from schemas.pipeline import PipelineDefinition
from sightline.cli.pipelines import load_definition
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sightline.runtime.log import configure_logging
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings, load_settings
from streams.alerts import Alarm
from streams.claims import open_claims
from streams.deadletters import DeadLetters
from streams.loop import BatchLimits, Loop
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
) -> None:
    """Take frames, answer each with a result or a dead letter. Any number of workers share the load.

    Example: sightline worker civic --http-port 8080
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

    def loop(definition: PipelineDefinition) -> Loop[list[Answer]]:
        group = topics.group("worker", definition.name)
        handler = WorkerHandler(
            Context(definition, clock.now, time.perf_counter, pixels),
            claims=claims,
            offload=offload,
            publisher=publisher,
            dead_letters=dead_letters,
            faults=faults,
        )
        frames = [topics.frames(definition.name)]
        alarm = Alarm(publisher, clock, group, definition.name)
        return Loop(settings.kafka, group, frames, handler, alarm, _limits(definition, settings), clock, faults)

    Process([loop(definition) for definition in definitions], publisher).run(http_port, announce)


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
        records=definition.batch.max_frames,
        size_bytes=definition.batch.max_bytes,
        wait_s=definition.batch.max_wait_ms / 1000,
        inflight_bytes=settings.worker.inflight_bytes,
        threads=settings.worker.batches_at_a_time(),
        claim_bytes=definition.input.max_bytes,
    )
