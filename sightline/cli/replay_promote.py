"""`sightline replay promote`: let what a replay says take the place of the live results."""

import time
from collections.abc import Collection
from contextlib import closing
from functools import partial
from typing import Annotated, Any, Final

import typer

from schemas import topics
from schemas.errors import InputError, ReplayCode, ReplayError
from schemas.frame import Origin
from schemas.message import result_message
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_line, print_note
from sightline.cli.replay_start import Id
from sightline.cli.replay_status import facts_of
from sightline.cli.replay_store import find_replay, open_book
from sightline.cli.replay_worker import GROUP_PROCESS
from sightline.cli.start import start
from sightline.runtime.clock import SystemClock
from sightline.runtime.database import database_engine
from sightline.runtime.kafka import make_consumer
from sightline.runtime.settings import Settings
from sinks.postgres.replay_results import replayed_pairs
from sinks.postgres.replays import PUBLISHED, ReplayBook, ReplayRow
from streams.publish import FramePublisher
from streams.read import check_topic
from streams.replay.limiter import GroupLag
from streams.replay.promote import Promotion, promoted

_QUERY_S: Final = 3600
_LOOK_S: Final = 0.05


def promote(
    *,
    replay_id: Id,
    partial: Annotated[bool, typer.Option("--partial", help="Also while frames have no answer yet.")] = False,
    copies: Annotated[
        bool, typer.Option("--copies", help="Also what was analysed from a kept picture, not from the original.")
    ] = False,
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Publish the results of a replay that differ from the current ones to the live topic, each with `supersedes`.

    Once the sink has stored them, the view `current_results` shows them. Doing it twice changes nothing.

    Example: [bold]sightline replay promote r-20260301-080000-1a2b[/bold]
    """
    settings = start()
    facts = promote_replay(settings, replay_id, partial=partial, copies=copies, timeout_s=timeout_s)
    if as_json:
        print_json(facts)
    else:
        print_line(f"replay {replay_id}: {facts['promoted']} results promoted, {facts['unchanged']} unchanged")
    if facts["refused"]:
        raise typer.Exit(WORK_FAILED)


def promote_replay(
    settings: Settings, replay_id: str, *, partial: bool, copies: bool, timeout_s: float
) -> dict[str, Any]:
    """Promote a replay and return what became of its results. Blocks. Raises ReplayError, OutageError."""
    book = open_book(settings)
    row = find_replay(book, replay_id)
    if not partial:
        hint = "; --partial promotes what there is"
        insist_on_all(book, row, settings, timeout_s, states={PUBLISHED}, hint=hint)
    check_topic(settings.kafka, topics.results(row.pipeline), timeout_s=timeout_s)
    promoted_at = book.promote(replay_id, SystemClock().now())
    engine = database_engine(
        settings.database_url(), application_name="sightline-promote", statement_timeout_s=_QUERY_S
    )
    tally, refused = Promotion(), 0

    def delivered(answer: Origin | InputError) -> None:
        nonlocal refused
        if isinstance(answer, InputError):
            refused += 1
            print_note(f"{replay_id}: {answer}")

    with closing(FramePublisher(settings.kafka, timeout_s=timeout_s)) as publisher:
        for result in promoted(replayed_pairs(engine, replay_id), promoted_at, tally, copies=copies):
            publisher.publish(result_message(result), delivered)
        publisher.flush()
    return {
        "replay_id": replay_id, "promoted": tally.changed - refused, "unchanged": tally.unchanged,
        "copies_left_out": tally.copies, "skipped": tally.skipped, "refused": refused,
    }  # fmt: skip


def insist_on_all(
    book: ReplayBook, row: ReplayRow, settings: Settings, timeout_s: float, *, states: Collection[str], hint: str = ""
) -> None:
    """See that nothing is on its way: each frame sent has its answer, or, as with one sent twice, nothing is unread.

    Raises ReplayError, with `hint` at the end, also for a replay in none of the `states`.
    """
    facts = facts_of(book, row)
    if row.state not in states:
        raise ReplayError(ReplayCode.UNANSWERED, row.replay_id, f"is {row.state}{hint}")
    if facts["answered"] < facts["published"] and not _all_is_read(row.pipeline, settings, timeout_s):
        left = facts["published"] - facts["answered"]
        raise ReplayError(ReplayCode.UNANSWERED, row.replay_id, f"{left} frames have no answer yet{hint}")


def _all_is_read(pipeline: str, settings: Settings, timeout_s: float) -> bool:
    """Tell whether workers have answered all that was sent, and then the sink has stored all that they said."""
    sink = topics.group("sink-postgres", pipeline)
    return all(
        _lag(group, topic, settings, timeout_s) == 0
        for group, topic in (
            (topics.group(GROUP_PROCESS, pipeline), topics.frames_replay(pipeline)),
            (sink, topics.results_replay(pipeline)),
            (sink, topics.dead_letters(pipeline)),
        )
    )


def _lag(group: str, topic: str, settings: Settings, timeout_s: float) -> int | None:
    """Return how far a group is behind, or None where the broker does not say in time."""
    partitions, clock = check_topic(settings.kafka, topic, timeout_s=timeout_s), SystemClock()
    lag = GroupLag(partial(make_consumer, settings.kafka), group, topic, partitions, clock, unread=True)
    deadline = clock.monotonic() + timeout_s
    while (found := lag.lag()) is None and clock.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return found
