"""`sightline monitor`: alerts over what comes out."""

from typing import Annotated

import typer

from sightline.cli.pipelines import load_definition
from sightline.cli.start import quieten_faust
from sightline.cli.worker import HttpPort, announce
from sightline.runtime.clock import SystemClock
from sightline.runtime.log import configure_logging
from sightline.runtime.settings import load_settings
from streams.monitor.supervise import Monitor
from streams.process import Process
from streams.publisher import Publisher


def monitor(
    pipelines: Annotated[list[str], typer.Argument(help="Pipelines to watch, such as `civic`.")],
    http_port: HttpPort = None,
) -> None:
    """Watch results and dead letters, and raise alerts: errors, floods, silent cameras, falling quality.

    One monitor a pipeline is enough; a second one waits, and takes over when the first is gone.

    Example: [bold]sightline monitor civic --http-port 8083[/bold]
    """
    settings = load_settings()
    for name in pipelines:
        load_definition(name, settings)
    configure_logging(settings.log)
    quieten_faust(settings)
    clock = SystemClock()
    publisher = Publisher(settings.kafka, clock)
    monitors = [Monitor(name, settings.kafka, settings.monitor.of(name), publisher, clock) for name in pipelines]
    Process(monitors, publisher).run(http_port, announce)
