"""Running a replay, in the foreground with a bar; killed at any moment, `resume` goes on where it was."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas import topics
from schemas.errors import ReplayCode, ReplayError
from schemas.replay import OverridesReference
from sightline.cli.output import print_note
from sightline.cli.replay_store import open_book, open_objects, open_rows
from sightline.cli.replay_worker import GROUP_PROCESS
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sightline.runtime.kafka import make_consumer
from sightline.runtime.settings import Settings
from sinks.postgres.replays import RUNNING, ReplayRow
from streams.publisher import Publisher
from streams.read import check_topic
from streams.replay.archive import Archive
from streams.replay.limiter import Bound, GroupLag, Limiter
from streams.replay.runner import Job, Runner, Seen
from streams.replay.selection import Selection
from streams.replay.walk import Task, Walk
from streams.replay.windows import read_places

_FLUSH_S: Final = 5.0
MAX_LIVE_LAG: Final = 100
MAX_BACKLOG: Final = 10_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast frames are sent: `rate` a second; nothing while live workers or those of replays are further behind.

    None and 0: no limit. `timeout_s`: after how long without an answer the broker counts as away.
    """

    rate: float | None = None
    max_live_lag: int = MAX_LIVE_LAG
    max_backlog: int = MAX_BACKLOG
    timeout_s: float = 30.0


def run_shown(row: ReplayRow, settings: Settings, pace: Pace) -> str | None:
    """Do as `run_replay`, with a bar."""
    with _bar(row) as show:
        return run_replay(row, settings, pace, show, threading.Event())


def run_replay(
    row: ReplayRow, settings: Settings, pace: Pace, show: Callable[[Seen], None], stop: threading.Event
) -> str | None:
    """Publish what is left of a replay, and return the state that it came to; None where another process is at it.

    Blocks, also while it is paused, until `stop` at the latest. Raises ReplayError for one that is over,
    ConfigurationError without its topics, OutageError, SetupError.
    """
    book, clock = open_book(settings), SystemClock()
    with ExitStack() as stack:
        stack.callback(book.close)
        if not stack.enter_context(book.alone(row.replay_id)):
            return None
        limiter = _limiter(row.pipeline, settings, pace)
        if not book.turn(row.replay_id, RUNNING, clock.now()):
            raise ReplayError(ReplayCode.STATE_WRONG, row.replay_id, "this replay is over")
        publisher = Publisher(settings.kafka, clock)
        stack.callback(publisher.close, _FLUSH_S)
        archive = Archive(open_objects(settings))
        runner = Runner(_job(row), book, publisher, archive, limiter, Faults(settings.fault.point), clock, show)
        return runner.run(partial(_walk, row, settings, pace.timeout_s), stop)


def _limiter(pipeline: str, settings: Settings, pace: Pace) -> Limiter:
    """Look how many partitions there are. Raises ConfigurationError without the topics."""
    connect, clock = partial(make_consumer, settings.kafka), SystemClock()
    bounds = []
    for process, topic, limit, waits_for in (
        ("worker", topics.frames(pipeline), pace.max_live_lag, "yields to live frames"),
        (GROUP_PROCESS, topics.frames_replay(pipeline), pace.max_backlog, "waits for the workers of replays"),
    ):
        partitions = check_topic(settings.kafka, topic, timeout_s=pace.timeout_s)
        group, unread = topics.group(process, pipeline), process == GROUP_PROCESS
        if limit:
            bounds.append(Bound(GroupLag(connect, group, topic, partitions, clock, unread=unread), limit, waits_for))
    return Limiter(bounds, pace.rate, clock)


def _job(row: ReplayRow) -> Job:
    overrides = None
    if row.overrides_digest is not None and row.overrides_address is not None:
        overrides = OverridesReference(row.overrides_digest, row.overrides_address)
    return Job(row.replay_id, row.pipeline, overrides)


def _walk(row: ReplayRow, settings: Settings, timeout_s: float, left: dict[int, tuple[int, int]]) -> Walk:
    selection = Selection.model_validate(row.selection)
    rows = open_rows(settings)
    places = read_places(rows, selection, row.created_at)
    held_from = {int(number): low for number, low in row.plan["held_from"].items()}
    task = Task(selection, row.created_at, places, left, held_from)
    return Walk(settings.kafka, rows, task, timeout_s=timeout_s)


@contextmanager
def _bar(row: ReplayRow) -> Iterator[Callable[[Seen], None]]:
    """Show a bar on a terminal; elsewhere a line when the replay begins to wait for something."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(row.replay_id, total=row.plan["frames"])
        said = ""

        def show(seen: Seen) -> None:
            nonlocal said
            waits = seen.state if seen.state != RUNNING else seen.waits_for or ""
            done = sum(one.frames for one in seen.progress)
            progress.update(bar, completed=done, description=f"{row.replay_id} {waits}".strip())
            if waits != said and waits and progress.disable:
                print_note(f"{row.replay_id}: {waits}")
            said = waits

        yield show
