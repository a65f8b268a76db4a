"""What operators do to dead letters: recorded before it happens, and closed when it has.

An action without an outcome is under way, or was broken off. A dead letter has at most one such action, which a
unique index insists on, so that nobody else can act on it before it is settled.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg2.errors import LockNotAvailable
from psycopg2.extras import execute_values
from sqlalchemy import Connection, Engine, select
from sqlalchemy import exc as alchemy

from schemas.errors import SightlineError
from schemas.frame import Origin
from sightline.runtime.database import map_database_error, transaction
from sinks.postgres.reader import Row
from sinks.postgres.tables import dead_letter_actions

# Any constant that no other user of the database takes; the pipeline's name is the second half of the key.
_LOCK_KEY = 0x51_67_68_74
# With these the server notices within 20 s that the machine of a lock's owner is gone.
_SETTINGS = (
    "SET lock_timeout = '3s'; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5;"
    " SET tcp_keepalives_count = 3"
)


class Action(StrEnum):
    """What can be done to a dead letter."""

    REDRIVE = "redrive"
    PARK = "park"
    PURGE = "purge"


class Outcome(StrEnum):
    """How an action ended. `uncertain`: it was broken off, and nobody can tell any more whether it took effect."""

    DONE = "done"
    UNDONE = "undone"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done to one dead letter."""

    dl_id: str
    action: Action
    target_topic: str | None = None
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PendingAction:
    """An action without an outcome. `place` is where its record was sent, once that is known."""

    dl_id: str
    action: Action
    batch_id: str
    acted_at: datetime
    place: Origin | None


class BusyError(SightlineError):
    """Somebody else acts on dead letters of the same pipeline."""


@contextmanager
def pipeline_lock(engine: Engine, pipeline: str) -> Iterator[None]:
    """Hold the lock of a pipeline's dead letters on a connection of its own; the server frees it when we die.

    Raises BusyError when somebody else has it, OutageError or SetupError.
    """
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        _lock(connection, pipeline)
    except alchemy.SQLAlchemyError as error:
        raise map_database_error(error) from error
    try:
        yield
    finally:
        connection.invalidate()  # closed, not given back to the pool: the lock goes with it
        connection.close()


def _lock(connection: Connection, pipeline: str) -> None:
    """Wait for a moment: the server may not have noticed yet that the last owner was killed."""
    connection.exec_driver_sql(_SETTINGS)
    try:
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s, hashtext(%s))", (_LOCK_KEY, pipeline))
    except alchemy.DBAPIError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise BusyError(f"{pipeline}: another redrive, park or purge is running") from None
        raise


def begin_actions(
    engine: Engine, batch_id: str, actor: str, intents: Sequence[Intent], states: Sequence[str]
) -> set[str]:
    """Record what is about to be done to dead letters that are in one of `states`; return the ids of those.

    The others have changed meanwhile, or have an action under way, and must be left alone. A record that was itself
    sent by a redrive answers, besides its own dead letter, those that it was before. Raises OutageError or SetupError.
    """
    with transaction(engine) as connection:
        cursor: Any = connection.connection.cursor()
        execute_values(
            cursor,
            "INSERT INTO dead_letter_actions (dl_id, pipeline, action, batch_id, actor, target_topic, answers, details)"
            " SELECT d.dl_id, d.pipeline, n.action, n.batch_id, n.actor, n.target_topic,"
            "  ARRAY[d.dl_id] || coalesce((SELECT a.answers FROM dead_letter_actions a WHERE a.action = 'redrive'"
            "   AND (a.target_topic, a.target_partition, a.target_offset)"
            "     = (d.origin_topic, d.origin_partition, d.origin_offset)"
            "   ORDER BY a.action_id DESC LIMIT 1), '{}'), n.details"
            " FROM (VALUES %s) AS n (dl_id, action, batch_id, actor, target_topic, details, states)"
            " JOIN dead_letters d ON d.dl_id = n.dl_id AND d.state = ANY(n.states)"
            " ORDER BY d.dl_id FOR UPDATE OF d"
            " ON CONFLICT (dl_id) WHERE outcome IS NULL DO NOTHING",
            [
                (
                    intent.dl_id,
                    intent.action.value,
                    batch_id,
                    actor,
                    intent.target_topic,
                    None if intent.details is None else json.dumps(intent.details),
                    list(states),
                )
                for intent in intents
            ],
            template="(%s, %s, %s, %s, %s, %s::jsonb, %s::text[])",
            page_size=len(intents),
        )
        # Not what was inserted: a call that is repeated, since its answer was lost, has its claims already.
        cursor.execute("SELECT dl_id FROM dead_letter_actions WHERE batch_id = %s AND outcome IS NULL", (batch_id,))
        return {dl_id for (dl_id,) in cursor.fetchall()}


def place_actions(engine: Engine, batch_id: str, places: Mapping[str, Origin]) -> None:
    """Note where the records of a batch lie, by dead letter. Raises OutageError or SetupError."""
    with transaction(engine) as connection:
        cursor: Any = connection.connection.cursor()
        execute_values(
            cursor,
            "UPDATE dead_letter_actions a SET target_partition = n.partition, target_offset = n.place"
            " FROM (VALUES %s) AS n (dl_id, batch_id, partition, place)"
            " WHERE a.dl_id = n.dl_id AND a.batch_id = n.batch_id AND a.outcome IS NULL",
            [(dl_id, batch_id, place.partition, place.offset) for dl_id, place in places.items()],
            template="(%s, %s, %s::integer, %s::bigint)",
            page_size=max(1, len(places)),
        )


def end_actions(engine: Engine, batch_id: str, outcome: Outcome) -> None:
    """Close a batch. Unless it was undone, the dead letters take the state that the action gives them.

    One whose result has been stored meanwhile stays resolved; a place that nothing can be read at is forgotten. What a
    purge leaves is who, when, where and why: the original's headers and key go. Raises OutageError or SetupError.
    """
    with transaction(engine) as connection:
        connection.exec_driver_sql(
            "UPDATE dead_letter_actions SET outcome = %s, ended_at = now(),"
            " target_partition = CASE WHEN %s = 'undone' THEN NULL ELSE target_partition END,"
            " target_offset = CASE WHEN %s = 'undone' THEN NULL ELSE target_offset END"
            " WHERE batch_id = %s AND outcome IS NULL",
            (outcome.value, outcome.value, outcome.value, batch_id),
        )
        if outcome is Outcome.UNDONE:
            return
        connection.exec_driver_sql(
            "WITH mine AS (SELECT d.dl_id, a.action FROM dead_letters d JOIN dead_letter_actions a ON a.dl_id = d.dl_id"
            "  WHERE a.batch_id = %s ORDER BY d.dl_id FOR UPDATE OF d)"
            " UPDATE dead_letters d SET state_changed_at = now(), state = CASE mine.action"
            "  WHEN 'redrive' THEN 'redriven' WHEN 'park' THEN 'parked' ELSE 'purged' END"
            " FROM mine WHERE d.dl_id = mine.dl_id AND (d.state <> 'resolved' OR mine.action = 'purge')",
            (batch_id,),
        )
        connection.exec_driver_sql(
            "UPDATE dead_letters d SET headers = NULL, key = NULL, object_key = NULL, dataref = NULL"
            " FROM dead_letter_actions a WHERE a.batch_id = %s AND a.action = 'purge' AND d.dl_id = a.dl_id",
            (batch_id,),
        )


def pending_actions(engine: Engine, pipeline: str) -> list[PendingAction]:
    """Return the actions of a pipeline that have no outcome, in their order. Raises OutageError or SetupError."""
    actions = dead_letter_actions.c
    query = select(dead_letter_actions).where(actions.pipeline == pipeline, actions.outcome.is_(None))
    with transaction(engine) as connection:
        rows = connection.execute(query.order_by(actions.action_id)).mappings().all()
    return [
        PendingAction(row["dl_id"], Action(row["action"]), row["batch_id"], row["acted_at"], _place(row))
        for row in rows
    ]


def actions_of(engine: Engine, dl_id: str) -> list[Row]:
    """Return all that was done to one dead letter, the oldest first. Raises OutageError or SetupError."""
    query = select(dead_letter_actions).where(dead_letter_actions.c.dl_id == dl_id)
    with transaction(engine) as connection:
        rows = connection.execute(query.order_by(dead_letter_actions.c.action_id)).mappings()
        return [dict(row) for row in rows]


def _place(row: Any) -> Origin | None:
    if row["target_topic"] is None or row["target_offset"] is None:
        return None
    return Origin(row["target_topic"], row["target_partition"], row["target_offset"])
