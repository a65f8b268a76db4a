"""`sightline replay status`: how far replays have come."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_line, print_table
from sightline.cli.pipelines import check_name
from sightline.cli.replay_store import find_replay, open_book
from sightline.cli.start import start
from sinks.postgres.replays import CANCELLED, PUBLISHED, ReplayBook, ReplayRow

_COLUMNS: Final = ("replay_id", "pipeline", "state", "frames", "published", "answered", "left_s", "created_at")


def status(
    *,
    replay_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One replay; all by default.")] = None,
    pipeline: Annotated[str | None, typer.Option("--pipeline", help="Replays of this pipeline only.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="This many at most, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what replays were asked to do, how many frames they have sent, and how many have an answer.

    Example: [bold]sightline replay status r-20260301-080000-1a2b[/bold]
    """
    book = open_book(start())
    if replay_id is not None:
        _show(facts_of(book, find_replay(book, replay_id)), as_json=as_json)
        return
    rows = book.newest(limit, None if pipeline is None else check_name(pipeline))
    found = [facts_of(book, row) for row in rows]
    if as_json:
        for facts in found:
            print_json(facts)
    else:
        print_table([name.upper() for name in _COLUMNS], [[facts[name] for name in _COLUMNS] for facts in found])


def facts_of(book: ReplayBook, row: ReplayRow) -> dict[str, Any]:
    """Return how a replay stands, as JSON values. Raises OutageError."""
    progress, answered = book.progress(row.replay_id), book.answered(row.replay_id)
    published = sum(one.frames for one in progress)
    left = 0 if row.state in {PUBLISHED, CANCELLED} else max(row.plan["frames"] - published, 0)
    return {
        "replay_id": row.replay_id,
        "pipeline": row.pipeline,
        "state": row.state,
        "frames": row.plan["frames"],
        "published": published,
        "published_bytes": sum(one.bytes for one in progress),
        "archived": sum(one.archived for one in progress),
        "missing": sum(one.missing for one in progress),
        "answered": answered.total,
        "results": answered.results,
        "skipped": answered.skipped,
        "dead_letters": answered.dead_letters,
        "left_s": _left_s(row, published, left, answered.total),
        "selection": row.selection,
        "overrides_digest": row.overrides_digest,
        "overrides_address": row.overrides_address,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "promoted_at": row.promoted_at,
        "partitions": [
            {"partition": one.partition, "from": one.from_offset, "to": one.to_offset, "next": one.next_offset}
            for one in progress
        ],
    }


def _left_s(row: ReplayRow, published: int, left: int, answered: int) -> float | None:
    """Return the seconds until every frame has its answer, by the pace since the start; None where none is known."""
    waiting = left + max(published - answered, 0)
    if not waiting:
        return 0.0
    if row.started_at is None or not answered:
        return None
    return round((datetime.now(UTC) - row.started_at).total_seconds() / answered * waiting, 1)


def _show(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if name == "partitions":
            for one in value:
                print_line(f"partition {one['partition']}: {one['from']} to before {one['to']}, next {one['next']}")
        elif value is not None:
            print_line(f"{name}: {value}")
