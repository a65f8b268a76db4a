"""`sightline replay compare`: what a replay says otherwise than the live results, or than another replay."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from sqlalchemy import Engine

from schemas import topics
from schemas.errors import ConfigurationError
from schemas.result import Result
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_note
from sightline.cli.pipelines import check_name
from sightline.cli.replay_figures import print_comparison
from sightline.cli.replay_pictures import Pictures
from sightline.cli.start import start
from sightline.compare.change import Rules
from sightline.compare.comparison import Comparison
from sightline.compare.facts import About, comparison_facts
from sightline.compare.limits import Verdict, judge, judged_frames, parse_share
from sightline.compare.pair import Found, Pair, Side
from sightline.compare.report import Shown, comparison_page
from sightline.runtime.database import database_engine
from sinks.postgres.compare import LIVE, PairRow, ReplayFacts, SideRow, read_bodies, read_pairs, read_replay

_QUERY_TIMEOUT_S: Final = 3600.0
_ENDED: Final = frozenset({None, "published", "cancelled"})


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
    engine = database_engine(
        settings.database_url(), application_name="sightline-cli", statement_timeout_s=_QUERY_TIMEOUT_S
    )
    facts = _facts(engine, replay_id, against)
    about = _about(replay_id, against, pipeline, facts)
    comparison = Comparison(Rules(iou, score_drop), pictures)
    for row in read_pairs(engine, replay_id, facts, against, about.old_pipeline or ""):
        comparison.add(_pair(row))
    verdicts = judge(comparison, limits, count_copies=count_copies)
    if html is not None:
        shown = _shown(engine, comparison, Pictures(settings, timeout_s))
        _write(html, comparison_page(comparison, about, verdicts, Counter(facts.failed), shown))
        print_note(f"written: {html}")
    if as_json:
        print_json({**comparison_facts(comparison, about, verdicts), "failed": dict(facts.failed)})
    else:
        print_comparison(comparison, about, verdicts, facts.failed)
    _end(comparison, verdicts, judged_frames(comparison, count_copies=count_copies))


def _limits(texts: Mapping[str, str | None]) -> dict[str, float]:
    return {name: parse_share(f"--at-most-{name}", text) for name, text in texts.items() if text is not None}


def _facts(engine: Engine, replay_id: str, against: str) -> ReplayFacts:
    """Read what there is on both sides. Raises ConfigurationError where a side has nothing to compare."""
    if replay_id == against:
        raise ConfigurationError("--against", "a replay is compared with another one")
    sides = {name: read_replay(engine, name) for name in (replay_id, against) if name != LIVE}
    for name, facts in sides.items():
        if not facts.rows:
            raise ConfigurationError(name, "there are no results of such a replay")
        if facts.state not in _ENDED:
            print_note(f"warning: replay {name} is {facts.state}; what it has answered so far is compared")
    return sides[replay_id]


def _about(replay_id: str, against: str, pipeline: str | None, facts: ReplayFacts) -> About:
    if against != LIVE:
        if pipeline is not None:
            raise ConfigurationError("--pipeline", "says whose live results are the old side; --against names another")
        return About(replay_id, against, facts.pipelines, None)
    origins = {name for topic in facts.topics if (name := topics.pipeline_of(topic)) is not None}
    names = {check_name(pipeline)} if pipeline is not None else origins or set(facts.pipelines)
    if len(names) != 1:
        raise ConfigurationError("--pipeline", f"name one of {', '.join(sorted(names))}: the frames came from several")
    return About(replay_id, against, facts.pipelines, names.pop())


def _pair(row: PairRow) -> Pair:
    return Pair(row.frame_id, row.source, _side(row.old), _side(row.new), row.identical, row.copied)


def _side(row: SideRow | None) -> Side | None:
    if row is None:
        return None
    boxes = zip(*[iter(row.edges)] * 4, strict=True)
    return Side(
        row.result_id,
        row.kind,
        row.verdict,
        row.score,
        row.label,
        row.probability,
        tuple(map(Found, row.classes, row.class_ids, row.confidences, boxes)),
        dict(zip(row.checks, row.passed, strict=True)),
    )


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


def _end(comparison: Comparison, verdicts: list[Verdict], judged: int) -> None:
    """End with 1 when a limit is broken, or nothing was compared that could have kept it."""
    if verdicts and not judged:
        copies = comparison.copies.frames
        print_note(f"no frame was compared that limits count{f'; {copies} are copies' if copies else ''}")
        raise typer.Exit(WORK_FAILED)
    if not all(one.held for one in verdicts):
        raise typer.Exit(WORK_FAILED)
