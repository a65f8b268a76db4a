"""`sightline replay serve`: replays for other systems, which ask by messages."""

import threading
from functools import partial
from typing import Final

from sightline.cli.replay_acts import Acts
from sightline.cli.replay_run import Pace, run_replay
from sightline.cli.replay_store import find_replay, open_commands
from sightline.cli.start import quieten_faust
from sightline.cli.worker import HttpPort, announce
from sightline.runtime.clock import SystemClock
from sightline.runtime.database import database_engine
from sightline.runtime.faults import Faults
from sightline.runtime.log import configure_logging, get_logger
from sightline.runtime.settings import Settings, load_settings
from sinks.postgres.replay_commands import DueReplay
from sinks.postgres.replays import PAUSED, ReplayBook
from streams.process import Process
from streams.publisher import Publisher
from streams.replay.desk import Desk
from streams.replay.runner import Seen
from streams.replay.runs import Runs

_log = get_logger(__name__)
# A connection for each command that is carried out at once, and those that these ask with.
_CONNECTIONS: Final = 8


def serve(*, http_port: HttpPort = None) -> None:
    """Carry out the commands that other systems send to the topic `replay-commands`, and answer on `replay-answers`.

    One is enough; a second one waits for commands, and takes over when the first is gone.

    Example: [bold]sightline replay serve --http-port 8084[/bold]
    """
    from streams.replay.intake import Intake  # noqa: PLC0415 -- Faust takes long to import, the other commands need none

    settings = load_settings()
    configure_logging(settings.log)
    quieten_faust(settings)
    clock, url = SystemClock(), settings.database_url()
    book = ReplayBook(database_engine(url, application_name="sightline-replay-serve", pool_size=_CONNECTIONS))
    box = open_commands(settings)
    publisher = Publisher(settings.kafka, clock)
    runs = Runs(partial(_run, settings, book), clock)
    desk = Desk(box, book, Acts(settings, book).carry_out, runs, publisher, Faults(settings.fault.point), clock)
    intake = Intake(settings.kafka, box, publisher, clock, desk.look)
    Process([intake, desk], publisher).run(http_port, announce)


def _run(settings: Settings, book: ReplayBook, due: DueReplay, stop: threading.Event) -> str | None:
    """Send what is left of a replay until it is paused: a paused one holds nothing."""
    waited_for: str | None = None

    def show(seen: Seen) -> None:
        nonlocal waited_for
        if seen.waits_for not in {None, waited_for}:
            _log.info("replay waits", replay_id=due.replay_id, reason=seen.waits_for)
        waited_for = seen.waits_for
        if seen.state == PAUSED:
            stop.set()

    given = {"max_live_lag": due.max_live_lag, "max_backlog": due.max_backlog}
    pace = Pace(due.rate, **{name: limit for name, limit in given.items() if limit is not None})
    return run_replay(find_replay(book, due.replay_id), settings, pace, show, stop)
