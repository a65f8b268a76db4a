"""What the commands of other systems do: the same as the command line, by the same functions."""

import json
from typing import Final

from schemas import topics
from schemas.errors import ReplayCode, ReplayError
from schemas.replay import Overrides
from schemas.replaycommand import CommandName, ReplayCommand, WantedOverrides
from sightline.cli.pipelines import load_definition
from sightline.cli.replay_control import cancel_replay, pause_replay
from sightline.cli.replay_options import overrides_of
from sightline.cli.replay_plan import Named, make_plan
from sightline.cli.replay_promote import promote_replay
from sightline.cli.replay_status import facts_of
from sightline.cli.replay_store import find_replay
from sightline.runtime.clock import SystemClock
from sightline.runtime.settings import Settings
from sinks.postgres.replays import RUNNING, ReplayBook, ReplayRow
from streams.read import check_topic
from streams.replay.desk import Done
from streams.replay.selection import Selection

_TIMEOUT_S: Final = 30.0
_COUNTS: Final = ("frames", "published", "archived", "missing", "answered", "results", "skipped", "dead_letters")
_PROMOTED: Final = ("promoted", "unchanged", "copies_left_out", "refused")


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
        facts = facts_of(self._book, find_replay(self._book, replay_id))
        counts |= {what: facts[what] for what in _COUNTS}
        return Done(replay_id, facts["pipeline"], facts["state"], counts)

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


def _overrides(pipeline: str, wanted: WantedOverrides | None, settings: Settings) -> Overrides | None:
    if wanted is None:
        return None
    patches = [f"{path}={json.dumps(value)}" for path, value in wanted.patches.items()]
    models = [f"{role}={name}" for role, name in wanted.models.items()]
    return overrides_of(pipeline, wanted.other, patches, models, settings)
