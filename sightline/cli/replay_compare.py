"""`sightline replay compare`: what a replay says otherwise than the live results, or than another replay."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from schemas.errors import ConfigurationError
from schemas.result import Result
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_note
from sightline.cli.replay_comparing import Compared, Wanted, compare_replays, open_results
from sightline.cli.replay_figures import print_comparison
from sightline.cli.replay_pictures import Pictures
from sightline.cli.start import start
from sightline.compare.change import Rules
from sightline.compare.comparison import Comparison
from sightline.compare.limits import parse_share
from sightline.compare.report import Shown, comparison_page
from sinks.postgres.compare import LIVE, read_bodies


def compare(  # noqa: PLR0913 -- each is an option of the command
    *,
    replay_id: Annotated[str, typer.Argument(metavar="REPLAY_ID", help="The replay: the new side.")],
    against: Annotated[str, typer.Option(metavar="live|REPLAY_ID", help="The old side.")] = LIVE,
    pipeline: Annotated[
        str | None, typer.Option(help="Whose live results are the old side; by default, where the frames came from.")
    ] = None,
    iou: Annotated[float, typer.Option(min=0.01, max=1, help="From which overlap on two boxes are one object.")] = 0.5,
    score_drop: Annotated[
        float, typer.Option(min=0, max=100, help="A score may fall so far before the frame counts as worse.")
    ] = 1.0,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with charts and pictures.")] = None,
    pictures: Annotated[int, typer.Option(min=0, max=200, help="How many of the frames that changed most.")] = 12,
    at_most_changed: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Exit code 1 when more frames change verdict or label: 2%.")
    ] = None,
    at_most_worse: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Exit code 1 when more frames are worse.")
    ] = None,
    at_most_lost: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Exit code 1 when more of the old detections are lost.")
    ] = None,
    at_most_gained: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Exit code 1 when more of the new detections are new.")
    ] = None,
    at_most_missing: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Exit code 1 when more old frames have no new answer.")
    ] = None,
    count_copies: Annotated[
        bool, typer.Option("--count-copies", help="Hold limits against frames analysed from a copy as well.")
    ] = False,
    timeout_s: Timeout = 15.0,
    as_json: AsJson = False,
) -> None:
    """Compare the results of a replay with the live results of the same frames, or with another replay's.

    Examples: [bold]sightline replay compare r-2026-03-01 --html changes.html[/bold],
    [bold]sightline replay compare new-model --at-most-changed 2% --at-most-lost 1%[/bold],
    [bold]sightline replay compare b --against a --json[/bold]
    """
    settings = start()
    limits = _limits({
        "changed": at_most_changed, "worse": at_most_worse, "lost": at_most_lost, "gained": at_most_gained,
        "missing": at_most_missing,
    })  # fmt: skip
    rules = Rules(iou, score_drop)
    engine = open_results(settings)
    wanted = Wanted(replay_id, against, pipeline, rules, pictures, limits, count_copies)
    compared = compare_replays(engine, wanted)
    comparison, about, verdicts, failed = compared.comparison, compared.about, compared.verdicts, compared.failed
    if html is not None:
        shown = _shown(engine, comparison, Pictures(settings, timeout_s))
        _write(html, comparison_page(comparison, about, verdicts, Counter(failed), shown))
        print_note(f"written: {html}")
    if as_json:
        print_json(compared.facts())
    else:
        print_comparison(comparison, about, verdicts, failed)
    _end(compared)


def _limits(texts: Mapping[str, str | None]) -> dict[str, float]:
    return {name: parse_share(f"--at-most-{name}", text) for name, text in texts.items() if text is not None}


def _shown(engine: Engine, comparison: Comparison, pictures: Pictures) -> Iterator[Shown]:
    changes = comparison.most_changed()
    ids = [result_id for change in changes for result_id in (change.old.result_id, change.new.result_id)]
    results = {name: Result.model_validate(body) for name, body in read_bodies(engine, ids).items()}
    for change in changes:
        old, new = results.get(change.old.result_id), results.get(change.new.result_id)
        if old is None or new is None:
            yield Shown(change, ("", ""), None, "retention took a result meanwhile")
        else:
            yield pictures.show(change, old, new)


def _write(path: Path, page: str) -> None:
    """Write for the owner alone: the pictures may be personal. Raises ConfigurationError."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise ConfigurationError("--html", f"{path} cannot be written: {error.strerror}") from None


def _end(compared: Compared) -> None:
    """End with 1 when a limit is broken, or nothing was compared that could have kept it."""
    if compared.verdicts and not compared.judged:
        copies = compared.comparison.copies.frames
        print_note(f"no frame was compared that limits count{f'; {copies} are copies' if copies else ''}")
    if not compared.kept:
        raise typer.Exit(WORK_FAILED)
