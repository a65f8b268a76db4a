"""`sightline replay start` and `resume`: publish the frames, in the foreground."""

from typing import Annotated

import typer

from schemas.errors import ConfigurationError, ReplayCode, ReplayError
from sightline.cli import replay_options as options
from sightline.cli import start as begin
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_line, print_note
from sightline.cli.replay_plan import named, plan_shown, show_plan
from sightline.cli.replay_run import MAX_BACKLOG, MAX_LIVE_LAG, Pace, run_shown
from sightline.cli.replay_status import facts_of
from sightline.cli.replay_store import find_replay, open_book
from sightline.runtime.clock import SystemClock
from sightline.runtime.settings import Settings
from sinks.postgres.replays import CANCELLED, RUNNING, ReplayRow

Rate = Annotated[float | None, typer.Option("--rate", min=0.001, help="Frames a second, at most.")]
MaxLiveLag = Annotated[
    int,
    typer.Option("--max-live-lag", min=0, help="Wait while live workers are further behind, in frames. 0: never wait."),
]
MaxBacklog = Annotated[
    int,
    typer.Option(
        "--max-backlog", min=0, help="Wait while so many frames of replays are sent and not answered. 0: never wait."
    ),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="A replay's id, as [bold]status[/bold] lists it.")]


def start(  # noqa: PLR0913 -- each is one option of the command line
    *,
    what: Annotated[str, typer.Argument(metavar="PIPELINE|ID", help="A pipeline, or the id of a plan.")],
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
    rate: Rate = None,
    max_live_lag: MaxLiveLag = MAX_LIVE_LAG,
    max_backlog: MaxBacklog = MAX_BACKLOG,
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Send frames once more: those of a plan, or those that the options choose. Runs until all are published.

    Killed at any moment, [bold]resume[/bold] goes on where it was. Workers answer at their leisure; see
    [bold]status[/bold].

    Examples: [bold]sightline replay start r-20260301-080000-1a2b[/bold],
    [bold]sightline replay start civic --from 2026-03-01 --with civic-legacy[/bold]
    """
    settings = begin.start()
    row = open_book(settings).find(what)
    chosen = (
        replay_id, arrived_from, arrived_to, captured_from, captured_to, offsets, camera, frame_id, frame_ids, code,
        verdict, score, of_model, other, patches, model,
    )  # fmt: skip
    if row is not None and (any(chosen) or not archive):
        raise ConfigurationError(what, "is a plan already, which says which frames: leave the options that do so")
    if row is None:
        selection = options.selection_of(
            pipeline=what, arrived_from=arrived_from, arrived_to=arrived_to, captured_from=captured_from,
            captured_to=captured_to, offsets=offsets, cameras=camera, frame_ids=frame_id, frame_id_file=frame_ids,
            codes=code, verdict=verdict, scores=score, model=of_model, archive=archive,
        )  # fmt: skip
        overrides = options.overrides_of(what, other, patches or [], model or [], settings)
        made = plan_shown(settings, selection, overrides, named(replay_id), timeout_s)
        row = made.row
        if not as_json:
            show_plan(made, as_json=False)
    _run(row, settings, Pace(rate, max_live_lag, max_backlog, timeout_s), as_json=as_json)


def resume(
    *,
    replay_id: Id,
    rate: Rate = None,
    max_live_lag: MaxLiveLag = MAX_LIVE_LAG,
    max_backlog: MaxBacklog = MAX_BACKLOG,
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Go on with a replay that was paused, or whose process is gone.

    Where its process is still there, that one goes on; else this one publishes what is left, in the foreground.

    Example: [bold]sightline replay resume r-20260301-080000-1a2b[/bold]
    """
    settings = begin.start()
    row = find_replay(open_book(settings), replay_id)
    _run(row, settings, Pace(rate, max_live_lag, max_backlog, timeout_s), as_json=as_json)


def _run(row: ReplayRow, settings: Settings, pace: Pace, *, as_json: bool) -> None:
    state = run_shown(row, settings, pace)
    book = open_book(settings)
    if state is None:
        if not book.turn(row.replay_id, RUNNING, SystemClock().now()):
            raise ReplayError(ReplayCode.STATE_WRONG, row.replay_id, "this replay is over")
        print_note(f"{row.replay_id}: another process is at it, and goes on")
        return
    facts = facts_of(book, find_replay(book, row.replay_id))
    if as_json:
        print_json(facts)
    else:
        print_line(f"replay {row.replay_id}: {state}, {facts['published']} of {facts['frames']} frames sent")
    if state == CANCELLED:
        raise typer.Exit(WORK_FAILED)
