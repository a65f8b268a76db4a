"""`sightline replay plan`: how many frames, from where, for how long; the end of the window is fixed."""

import getpass
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.filesize import decimal

from schemas.errors import ReplayCode, ReplayError
from schemas.replay import Overrides
from sightline.cli import replay_options as options
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_line
from sightline.cli.replay_store import open_book, open_documents, open_objects, open_rows
from sightline.cli.start import start
from sightline.runtime.settings import Settings
from sinks.postgres.replays import PLANNED, PartitionProgress, ReplayRow
from streams.replay.archive import Archive
from streams.replay.plan import Plan, Planner
from streams.replay.selection import Selection


def plan(  # noqa: PLR0913 -- each is one option of the command line
    *,
    pipeline: options.Pipeline,
    replay_id: options.Name = None,
    arrived_from: options.ArrivedFrom = None,
    arrived_to: options.ArrivedTo = None,
    captured_from: options.CapturedFrom = None,
    captured_to: options.CapturedTo = None,
    offsets: options.Offsets = None,
    camera: options.Cameras = None,
    frame_id: options.FrameIds = None,
    frame_ids: options.FrameIdFile = None,
    code: options.Codes = None,
    verdict: options.Verdict = None,
    score: options.Scores = None,
    of_model: options.OfModel = None,
    archive: options.Archive = True,
    other: options.With = None,
    patches: options.Set = None,
    model: options.Model = None,
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Say what a replay would send, and write it down under an id that [bold]start[/bold] takes. Sends nothing.

    Example: [bold]sightline replay plan civic --from 2026-03-01 --camera /city/5 --set quality.pass_score=70[/bold]
    """
    settings = start()
    selection = options.selection_of(
        pipeline=pipeline, arrived_from=arrived_from, arrived_to=arrived_to, captured_from=captured_from,
        captured_to=captured_to, offsets=offsets, cameras=camera, frame_ids=frame_id, frame_id_file=frame_ids,
        codes=code, verdict=verdict, scores=score, model=of_model, archive=archive,
    )  # fmt: skip
    overrides = options.overrides_of(pipeline, other, patches or [], model or [], settings)
    made = plan_shown(settings, selection, overrides, named(replay_id), timeout_s)
    show_plan(made, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Made:
    """A plan that is written down."""

    row: ReplayRow
    plan: Plan


@dataclass(frozen=True, slots=True)
class Named:
    """What a new replay is called, and who makes it."""

    replay_id: str
    created_by: str


def named(replay_id: str | None) -> Named:
    """Return the name that was asked for, or one by the time. Raises ConfigurationError where it cannot be one."""
    return Named(options.check_id(replay_id) if replay_id is not None else _new_id(), who())


def plan_shown(
    settings: Settings, selection: Selection, overrides: Overrides | None, name: Named, timeout_s: float
) -> Made:
    """Do as `make_plan`, with a count of frames on the terminal."""
    with Console(stderr=True).status("counting frames …") as status:
        return make_plan(settings, selection, overrides, name, timeout_s, _counting(status.update))


def make_plan(
    settings: Settings,
    selection: Selection,
    overrides: Overrides | None,
    name: Named,
    timeout_s: float,
    show: Callable[[int], None] = lambda _: None,
) -> Made:
    """Plan a replay and write it down. Blocks. Raises ReplayError (an id that is taken), OutageError."""
    book, replay_id = open_book(settings), name.replay_id
    if book.find(replay_id) is not None:
        raise _taken(replay_id)
    archive = Archive(open_objects(settings))
    planner = Planner(settings.kafka, open_rows(settings), archive, timeout_s=timeout_s, show=show)
    plan_ = planner.plan(selection, datetime.now(UTC))
    reference = None if overrides is None else open_documents(settings).put(overrides)
    row = ReplayRow(
        replay_id=replay_id,
        pipeline=selection.pipeline,
        state=PLANNED,
        selection=selection.model_dump(mode="json", exclude_defaults=True) | {"pipeline": selection.pipeline},
        plan=plan_.facts(),
        overrides=None if overrides is None else overrides.model_dump(mode="json", exclude_none=True),
        overrides_digest=None if reference is None else reference.digest,
        overrides_address=None if reference is None else reference.address,
        created_by=name.created_by,
        created_at=plan_.planned_at,
    )
    windows = [PartitionProgress(number, begin, end, begin) for number, (begin, end) in plan_.windows.items()]
    if not book.create(row, windows):
        raise _taken(replay_id)
    return Made(row, plan_)


def _taken(replay_id: str) -> ReplayError:
    return ReplayError(ReplayCode.EXISTS, replay_id, "there is a replay of this id already")


def who() -> str:
    """Return who calls, for the records."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def show_plan(made: Made, *, as_json: bool) -> None:
    """Print what is planned."""
    facts = made.row.plan
    if as_json:
        print_json({"replay_id": made.row.replay_id, "pipeline": made.row.pipeline, **facts})
        return
    counts = made.plan.counts
    print_line(f"replay {made.row.replay_id} of {made.row.pipeline}: {counts.frames} frames, {decimal(counts.bytes)}")
    print_line(f"  from Kafka: {counts.kafka_frames} frames, {decimal(counts.kafka_bytes)}")
    print_line(f"  from archived pictures: {counts.archived_frames} frames, {decimal(counts.archived_bytes)}")
    nowhere = counts.missing_frames + counts.unknown_ids
    print_line(f"  available nowhere: {nowhere} frames{_unknown(counts.unknown_offsets)}")
    for number, (begin, end) in made.plan.windows.items():
        print_line(f"  partition {number}: offsets {begin} to before {end}")
    print_line(f"  time: {_time(facts)}")
    if made.row.overrides is not None:
        print_line(f"  overrides: {made.row.overrides_digest} at {made.row.overrides_address}")
    print_line(f"  start it with: sightline replay start {made.row.replay_id}")


def _unknown(offsets: int) -> str:
    return f", and up to {offsets} more of which nothing is known" if offsets else ""


def _time(facts: dict[str, Any]) -> str:
    seconds = facts["seconds"]
    shown = "not known" if seconds is None else f"about {seconds:.0f} s"
    return f"{shown}: {facts['seconds_because']}"


def _counting(update: Callable[[str], None]) -> Callable[[int], None]:
    return lambda count: update(f"counting frames: {count}")


def _new_id() -> str:
    return f"r-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
