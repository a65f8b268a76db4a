"""`sightline worker`: the processor agent."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Annotated, Protocol

import cv2
import pillow_heif
import typer

from processors.budget import PixelBudget
from processors.outcome import Context
from schemas import topics
from schemas.errors import ConfigurationError
from schemas.frame import Frame
from schemas.pipeline import PipelineDefinition
from sightline.cli.guarding import guarded, transactions_for
from sightline.cli.loading import loader, max_frames, pinned_models
from sightline.cli.pipelines import load_definition
from sightline.cli.replay_worker import ReplayLoops
from sightline.cli.resultcache import open_result_cache
from sightline.cli.watched import health_page, open_watch, planned_faults
from sightline.models.cache import ModelCache
from sightline.models.store import open_model_store
from sightline.runtime.clock import Clock, SystemClock
from sightline.runtime.log import configure_logging
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings, load_settings
from streams.alerts import Alarm
from streams.claims import open_claims
from streams.deadletters import DeadLetters
from streams.guarded import Judged
from streams.loop import BatchLimits, Loop
from streams.models import ActivatedModels, FixedModels, WorkerModels
from streams.offload import Offload
from streams.process import Awaited, Process
from streams.publisher import Publisher, Publishes
from streams.skipping import Skipping
from streams.tracker import Record
from streams.worker import WorkerHandler

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
    *,
    no_replay: Annotated[bool, typer.Option("--no-replay", help="Leave replays to other workers.")] = False,
    only_replay: Annotated[bool, typer.Option("--only-replay", help="Work for replays, not live frames.")] = False,
) -> None:
    """Take frames, answer each with a result or a dead letter. Any number of workers share the load.

    Models are those that `sightline models activate` put in force. Frames that are replayed have less priority: one is
    taken only while no live frame is in hand.

    Examples: [bold]sightline worker civic --http-port 8080[/bold], [bold]sightline worker polyp banana[/bold]
    """
    if no_replay and only_replay:
        raise ConfigurationError("--no-replay", "with --only-replay nothing is left to do")
    settings = load_settings()
    definitions = [load_definition(name, settings) for name in pipelines]
    configure_logging(settings.log)
    _limit_native_threads(settings.worker.opencv_threads)
    clock = SystemClock()
    faults, watch = planned_faults(settings), open_watch(settings)
    publisher = Publisher(settings.kafka, clock)
    store = None if settings.objects.url is None else open_store(settings.objects.url, settings.s3)
    offload = Offload(store)
    claims = open_claims(settings)
    pixels = PixelBudget(settings.worker.decoded_pixels)
    cache = open_result_cache(settings)
    pins = _pins(definitions, model or [])
    models: dict[str, WorkerModels] = {}

    def handler(
        context: Context,
        skip: Callable[[Frame, Record], str | None] | None = None,
        parse: Callable[[Record], Frame] | None = None,
        label: str | None = None,
        out: Publishes = publisher,
    ) -> WorkerHandler:
        return WorkerHandler(
            context,
            claims=claims,
            offload=offload,
            publisher=out,
            dead_letters=DeadLetters(out, offload, clock, process_name()),
            faults=faults,
            check_models=models[context.pipeline.name].check,
            skip=skip,
            parse=parse,
            label=label,
            watch=watch,
        )

    def context(definition: PipelineDefinition) -> Context:
        lineup = models[definition.name].lineup
        return Context(definition, clock.now, time.perf_counter, pixels, lineup, cache)

    def live(definition: PipelineDefinition) -> Loop[Judged]:
        group = topics.group("worker", definition.name)
        alarm, transactions = alarms[definition.name], transactions_for(definition, settings, group, faults)
        out = publisher if transactions is None else transactions.outbox
        work = handler(context(definition), Skipping(definition, clock.now), out=out)
        frames, limits = topics.frames(definition.name), _limits(definition, settings)
        guard = guarded(work, frames, definition, settings, clock, Alarm(out, clock, group, definition.name))
        return Loop(
            settings.kafka, group, [frames], guard, alarm, limits, clock, faults, watch=watch, transactions=transactions
        )

    alarms = {name: Alarm(publisher, clock, topics.group("worker", name), name) for name in pins}
    for definition in definitions:
        name = definition.name
        models[name] = _models(definition, pins[name], settings, clock, alarms[name])
    loops = [] if only_replay else [live(definition) for definition in definitions]
    replays = ReplayLoops(settings, clock, faults, publisher, [one.in_hand for one in loops], watch)
    for definition in [] if no_replay else definitions:
        replays.add(
            context(definition),
            _limits(definition, settings),
            lambda path, parse, label, out: handler(path, parse=parse, label=label, out=out),
        )
    with ExitStack() as stack:
        if cache is not None:
            stack.callback(cache.close)
        followed: list[_Followed] = [*models.values(), *replays.cancellations]
        for one in followed:
            one.start()
        stack.callback(_stop_all, followed)
        Process([*loops, *replays.loops(alone=only_replay)], publisher, followed).run(*health_page(http_port, announce))


class _Followed(Awaited, Protocol):
    """What a worker follows in a thread of its own."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End; may block for seconds."""
        ...


def _stop_all(followed: Sequence[_Followed]) -> None:
    """End them side by side: each may take seconds, and SIGTERM gives the process ten in all."""
    with ThreadPoolExecutor(len(followed), thread_name_prefix="stop") as threads:
        list(threads.map(lambda one: one.stop(), followed))


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
    """Keep the decoders to their share of the cores, and what they say about bad pictures out of our log."""
    cv2.setNumThreads(threads)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
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
