"""`sightline sink postgres` and `sightline sink objects`."""

from typing import Annotated, Any

import typer

from schemas import topics
from sightline.cli.pipelines import load_definition
from sightline.cli.worker import HttpPort, announce, process_name
from sightline.runtime.clock import Clock, SystemClock
from sightline.runtime.database import database_engine
from sightline.runtime.faults import AFTER_DATABASE, AFTER_OBJECT, Faults
from sightline.runtime.log import configure_logging
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings, load_settings
from sinks.objects.sink import ObjectsSink
from sinks.postgres.sink import PostgresSink
from sinks.protocol import Sink
from streams.alerts import Alarm
from streams.deadletters import DeadLetters
from streams.loop import BatchLimits, Loop
from streams.offload import Offload
from streams.process import Process
from streams.publisher import Publisher
from streams.sink_runner import ReadBatch, SinkHandler

sink = typer.Typer(help="Store results, dead letters, alerts and pictures.", no_args_is_help=True)
Pipelines = Annotated[list[str], typer.Argument(help="Pipelines to store for, such as `civic`.")]


@sink.command()
def postgres(pipelines: Pipelines, http_port: HttpPort = None) -> None:
    """Write results, dead letters and alerts as rows.

    Example: sightline sink postgres civic --http-port 8081
    """
    settings = _settings(pipelines)
    # One connection for each loop: those of the pipelines and that of the alerts.
    engine = database_engine(settings.database_url(), application_name="sightline-sink", pool_size=len(pipelines) + 1)
    runner = _Runner(settings, "postgres", AFTER_DATABASE)
    for pipeline in pipelines:
        rows = PostgresSink(engine, runner.clock.now)
        results = [topics.results(pipeline), topics.results_replay(pipeline)]
        runner.add(rows, pipeline, [*results, topics.dead_letters(pipeline)])
    runner.add(PostgresSink(engine, runner.clock.now), pipelines[0], [topics.ALERTS], label=topics.ALERTS)
    runner.run(http_port)


@sink.command()
def objects(pipelines: Pipelines, http_port: HttpPort = None) -> None:
    """Write pictures to keep, and the original bytes of dead letters, as objects.

    Example: sightline sink objects civic --http-port 8082
    """
    settings = _settings(pipelines)
    store = open_store(settings.objects_url(), settings.s3)
    runner = _Runner(settings, "objects", AFTER_OBJECT)
    for pipeline in pipelines:
        pictures = ObjectsSink(store, settings.sink.object_threads)
        runner.add(pictures, pipeline, [topics.artifacts(pipeline), topics.dead_letters(pipeline)])
    runner.run(http_port)


def _settings(pipelines: list[str]) -> Settings:
    settings = load_settings()
    for name in pipelines:
        load_definition(name, settings)
    configure_logging(settings.log)
    return settings


class _Runner:
    """One sink process: its loops, and what they share."""

    def __init__(self, settings: Settings, name: str, fault_point: str) -> None:
        self.clock: Clock = SystemClock()
        self._settings = settings
        self._name = name
        self._fault_point = fault_point
        self._faults = Faults(settings.fault.point)
        self._publisher = Publisher(settings.kafka, self.clock)
        store = None if settings.objects.url is None else open_store(settings.objects.url, settings.s3)
        self._dead_letters = DeadLetters(self._publisher, Offload(store), self.clock, process_name())
        self._loops: list[Loop[ReadBatch[Any]]] = []

    def add(self, sink: Sink[Any], pipeline: str, names: list[str], label: str | None = None) -> None:
        """Add a loop over the topics `names`; group and metrics are called after the pipeline unless told."""
        label = label or pipeline
        group = topics.group(f"sink-{self._name}", label)
        alarm = Alarm(self._publisher, self.clock, group, pipeline)
        handler = SinkHandler(
            sink,
            self._name,
            pipeline,
            label=label,
            dead_letters=self._dead_letters,
            alarm=alarm,
            faults=self._faults,
            fault_point=self._fault_point,
        )
        limits = BatchLimits(
            records=self._settings.sink.max_rows,
            size_bytes=self._settings.sink.max_bytes,
            wait_s=self._settings.sink.max_wait_ms / 1000,
            inflight_bytes=self._settings.worker.inflight_bytes,
            threads=2,  # one batch is read while another is stored
        )
        self._loops.append(Loop(self._settings.kafka, group, names, handler, alarm, limits, self.clock, self._faults))

    def run(self, http_port: int | None) -> None:
        """Run to the end of the process."""
        Process(self._loops, self._publisher).run(http_port, announce)
