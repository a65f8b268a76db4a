"""What the commands of other systems do: the same as the command line, by the same functions."""

import json
from typing import Any, Final

from schemas import topics
from schemas.errors import ReplayCode, ReplayError
from schemas.replay import Overrides
from schemas.replaycommand import CommandName, ReplayCommand, WantedOverrides
from sightline.cli.pipelines import load_definition
from sightline.cli.replay_comparing import Compared, Wanted, compare_replays, open_results
from sightline.cli.replay_control import cancel_replay, pause_replay
from sightline.cli.replay_options import overrides_of
from sightline.cli.replay_plan import Named, make_plan
from sightline.cli.replay_promote import insist_on_all, promote_replay
from sightline.cli.replay_status import facts_of
from sightline.cli.replay_store import find_replay
from sightline.compare.change import Rules
from sightline.runtime.clock import SystemClock
from sightline.runtime.settings import Settings
from sinks.postgres.compare import LIVE
from sinks.postgres.replays import CANCELLED, PUBLISHED, RUNNING, ReplayBook, ReplayRow
from streams.read import check_topic
from streams.replay.desk import Done
from streams.replay.selection import Selection

_TIMEOUT_S: Final = 30.0
_COUNTS: Final = ("frames", "published", "archived", "missing", "answered", "results", "skipped", "dead_letters")
_PROMOTED: Final = ("promoted", "unchanged", "copies_left_out", "refused")
_MAX_COMPARISON_BYTES: Final = 768 * 1024  # the topic takes 1 MiB; a larger answer would end the publisher


class Acts:
    """Carries commands out. Safe to use from several threads, for several replays."""

    def __init__(self, settings: Settings, book: ReplayBook) -> None:
        self._settings = settings
        self._book = book

    def carry_out(self, name: CommandName, command: ReplayCommand) -> Done:
        """Do what a command says; a second time changes nothing more. Blocks.

        Raises ConfigurationError (ReplayError, ModelError) or InputError for what is refused, OutageError.
        """
        replay_id = command.replay_id or name.replay_id()
        by = f"{command.requested_by or name.source} (command {name.key})"
        counts: dict[str, int] = {}
        comparison, limits_kept = None, None
        if command.pipeline is not None:
            self._plan(replay_id, command.pipeline, command, by)
        if command.action in {"start", "resume"}:
            self._let_run(find_replay(self._book, replay_id))
        elif command.action == "pause":
            pause_replay(self._book, replay_id)
        elif command.action == "cancel":
            cancel_replay(self._settings, self._book, replay_id, by, _TIMEOUT_S)
        elif command.action == "promote":
            counts = self._promote(replay_id, command)
        elif command.action == "compare":
            comparison, limits_kept = self._compare(replay_id, command)
        facts = facts_of(self._book, find_replay(self._book, replay_id))
        counts |= {what: facts[what] for what in _COUNTS}
        return Done(replay_id, facts["pipeline"], facts["state"], counts, comparison, limits_kept)

    def _plan(self, replay_id: str, pipeline: str, command: ReplayCommand, by: str) -> None:
        """Plan a replay, unless this very command has done so."""
        row = self._book.find(replay_id)
        if row is not None and row.created_by == by:
            return
        if row is not None:
            raise ReplayError(ReplayCode.EXISTS, replay_id, "there is a replay of this id already")
        load_definition(pipeline, self._settings)
        chosen = {} if command.selection is None else command.selection.model_dump(exclude_defaults=True)
        overrides = _overrides(pipeline, command.overrides, self._settings)
        selection = Selection.model_validate({**chosen, "pipeline": pipeline})
        make_plan(self._settings, selection, overrides, Named(replay_id, by), _TIMEOUT_S)

    def _let_run(self, row: ReplayRow) -> None:
        """Turn a replay to running: `streams.replay.runs` sends its frames. Refused here where that could not go."""
        for topic in (topics.frames(row.pipeline), topics.frames_replay(row.pipeline)):
            check_topic(self._settings.kafka, topic, timeout_s=_TIMEOUT_S)
        if not self._book.turn(row.replay_id, RUNNING, SystemClock().now()):
            raise ReplayError(ReplayCode.STATE_WRONG, row.replay_id, f"is {row.state}: this replay is over")

    def _promote(self, replay_id: str, command: ReplayCommand) -> dict[str, int]:
        facts = promote_replay(
            self._settings, replay_id, partial=command.partial, copies=command.copies, timeout_s=_TIMEOUT_S
        )
        return {what: facts[what] for what in _PROMOTED}

    def _compare(self, replay_id: str, command: ReplayCommand) -> tuple[dict[str, Any], bool]:
        """Return what came out, and whether limits were kept. Refused while a side has frames on their way."""
        wanted = wanted_by(replay_id, command)
        for name in (replay_id, wanted.against):
            if name != LIVE:
                row = find_replay(self._book, name)
                insist_on_all(self._book, row, self._settings, _TIMEOUT_S, states={PUBLISHED, CANCELLED})
        engine = open_results(self._settings)
        try:
            compared = compare_replays(engine, wanted)
        finally:
            engine.dispose()
        return told(compared), compared.kept


def told(compared: Compared) -> dict[str, Any]:
    """Return what an answer says of a comparison. Raises ReplayError where no message could hold it."""
    facts = compared.facts()
    del facts["most_changed"]  # as many detections as a picture may have, for each of them
    if len(json.dumps(facts)) > _MAX_COMPARISON_BYTES:
        reason = "too many cameras, classes or labels for a message; `sightline replay compare` has them"
        raise ReplayError(ReplayCode.ANSWER_TOO_LARGE, compared.about.replay_id, reason)
    return facts


def wanted_by(replay_id: str, command: ReplayCommand) -> Wanted:
    """Return what a command wants compared; what it leaves open is as on the command line."""
    return Wanted(
        replay_id,
        command.baseline or LIVE,
        rules=Rules(**command.model_dump(include={"iou", "score_drop"}, exclude_none=True)),
        limits=command.limits(),
        count_copies=command.count_copies,
    )


def _overrides(pipeline: str, wanted: WantedOverrides | None, settings: Settings) -> Overrides | None:
    if wanted is None:
        return None
    patches = [f"{path}={json.dumps(value)}" for path, value in wanted.patches.items()]
    models = [f"{role}={name}" for role, name in wanted.models.items()]
    return overrides_of(pipeline, wanted.other, patches, models, settings)
