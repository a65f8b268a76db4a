"""The book of replays: what each is asked to do, how far it has come, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from sightline.runtime.database import transaction
from sinks.postgres.tables import dead_letters, replay_overrides, replay_partitions, replays, results

PLANNED: Final = "planned"
RUNNING: Final = "running"
PAUSED: Final = "paused"
PUBLISHED: Final = "published"
CANCELLED: Final = "cancelled"
# What may become of what: a replay that is over stays over.
_BEFORE: Final[Mapping[str, tuple[str, ...]]] = {
    RUNNING: (PLANNED, RUNNING, PAUSED),
    PAUSED: (RUNNING,),
    PUBLISHED: (RUNNING,),
    CANCELLED: (PLANNED, RUNNING, PAUSED, PUBLISHED),
}


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """One partition of a replay: the window, its end exclusive, and how far it has come.

    All before `next_offset` is acknowledged, or not wanted, or nowhere. `frames` counts what was published, of which
    `archived` from the object store; `missing` what was wanted and is nowhere.
    """

    partition: int
    from_offset: int
    to_offset: int
    next_offset: int
    frames: int = 0
    bytes: int = 0
    archived: int = 0
    missing: int = 0

    @property
    def done(self) -> bool:
        """Tell whether the end of the window is reached."""
        return self.next_offset >= self.to_offset


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One replay. `selection`, `plan` and `overrides` are JSON values of whoever wrote them."""

    replay_id: str
    pipeline: str
    state: str
    selection: dict[str, Any]
    plan: dict[str, Any]
    overrides: dict[str, Any] | None
    overrides_digest: str | None
    overrides_address: str | None
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    promoted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a replay's frames, by rows. `first` and `last` are when the first and the last result was made."""

    results: int
    skipped: int
    dead_letters: int
    first: datetime | None
    last: datetime | None

    @property
    def total(self) -> int:
        """Return how many frames have an answer."""
        return self.results + self.skipped + self.dead_letters


class ReplayBook:
    """Every call is one transaction, blocks, and raises OutageError or SetupError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, row: ReplayRow, windows: Sequence[PartitionProgress]) -> bool:
        """Write down a new replay; return False when its id is taken."""
        with transaction(self._engine) as connection:
            values = {name: getattr(row, name) for name in ReplayRow.__slots__}
            made = connection.execute(insert(replays).values(values).on_conflict_do_nothing()).rowcount == 1
            if made and windows:
                connection.execute(insert(replay_partitions), [_columns(row.replay_id, one) for one in windows])
        return made

    def find(self, replay_id: str) -> ReplayRow | None:
        """Return one replay, or None."""
        with transaction(self._engine) as connection:
            row = connection.execute(select(replays).where(replays.c.replay_id == replay_id)).mappings().one_or_none()
        return None if row is None else ReplayRow(**row)

    def newest(self, limit: int, pipeline: str | None = None) -> list[ReplayRow]:
        """List replays, the newest first."""
        query = select(replays).order_by(replays.c.created_at.desc(), replays.c.replay_id).limit(limit)
        if pipeline is not None:
            query = query.where(replays.c.pipeline == pipeline)
        with transaction(self._engine) as connection:
            return [ReplayRow(**row) for row in connection.execute(query).mappings()]

    def progress(self, replay_id: str) -> list[PartitionProgress]:
        """Return how far each partition has come, by number."""
        table = replay_partitions
        query = select(table).where(table.c.replay_id == replay_id).order_by(table.c.partition)
        with transaction(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [PartitionProgress(**{name: row[name] for name in PartitionProgress.__slots__}) for row in rows]

    def save(self, replay_id: str, changed: Sequence[PartitionProgress]) -> str:
        """Write down how far partitions have come; return the replay's state, which others may have changed."""
        table = replay_partitions
        with transaction(self._engine) as connection:
            for one in changed:
                here = (table.c.replay_id == replay_id) & (table.c.partition == one.partition)
                connection.execute(update(table).where(here).values(_columns(replay_id, one)))
            state = connection.execute(select(replays.c.state).where(replays.c.replay_id == replay_id)).scalar_one()
        return str(state)

    def turn(self, replay_id: str, state: str, now: datetime) -> bool:
        """Change a replay's state; return False where it cannot come to that from what it is."""
        values: dict[str, Any] = {"state": state}
        if state == RUNNING:
            values["started_at"] = func.coalesce(replays.c.started_at, now)
        elif state in {PUBLISHED, CANCELLED}:
            values["ended_at"] = now
        here = (replays.c.replay_id == replay_id) & replays.c.state.in_(_BEFORE[state])
        with transaction(self._engine) as connection:
            return connection.execute(update(replays).where(here).values(values)).rowcount == 1

    def promote(self, replay_id: str, now: datetime) -> datetime:
        """Note that a replay is promoted; return when it was first, so that a second time says the same."""
        here = replays.c.replay_id == replay_id
        values = {"promoted_at": func.coalesce(replays.c.promoted_at, now)}
        change = update(replays).where(here).values(values).returning(replays.c.promoted_at)
        with transaction(self._engine) as connection:
            first: datetime = connection.execute(change).scalar_one()
        return first

    def answered(self, replay_id: str) -> Answered:
        """Count what came of a replay's frames: each once, as it stands."""
        made, failed = results.c, dead_letters.c
        apart = (made.replay_id == replay_id) & made.supersedes.is_(None)
        rows = select(
            func.count().filter(_not_cancelled()),
            func.count().filter(~_not_cancelled()),
            func.min(made.processed_at),
            func.max(made.processed_at),
        ).where(apart)
        letters = select(func.count()).where(
            failed.replay_id == replay_id,
            failed.state.not_in(("redriven", "resolved")),
            ~exists().where(apart, made.frame_id == failed.frame_id),
        )
        with transaction(self._engine) as connection:
            done, left_out, first, last = connection.execute(rows).one()
            return Answered(done, left_out, connection.execute(letters).scalar_one(), first, last)

    @contextmanager
    def alone(self, replay_id: str) -> Iterator[bool]:
        """Hold a replay for the length of the block; yield False where another process has it.

        The lock is the connection's: a process that is killed lets go, and so does a database that restarts.
        """
        connection, held = _lock(self._engine, replay_id)
        try:
            yield held
        finally:
            connection.invalidate()
            connection.close()

    def put_document(self, digest: str, document: bytes) -> None:
        """Store what replays want otherwise; the same again changes nothing."""
        row = {"digest": digest, "document": document}
        with transaction(self._engine) as connection:
            connection.execute(insert(replay_overrides).values(row).on_conflict_do_nothing())

    def get_document(self, digest: str) -> bytes | None:
        """Return a document, or None."""
        query = select(replay_overrides.c.document).where(replay_overrides.c.digest == digest)
        with transaction(self._engine) as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else bytes(found)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _not_cancelled() -> Any:
    """Tell answers from what was skipped because the replay was cancelled; a gate skips too, and that is an answer."""
    return func.coalesce(results.c.body["summary"]["skipped"].astext, "") != "replay-cancelled"


def _columns(replay_id: str, one: PartitionProgress) -> dict[str, Any]:
    return {"replay_id": replay_id} | {name: getattr(one, name) for name in PartitionProgress.__slots__}


def _lock(engine: Engine, replay_id: str) -> tuple[Connection, bool]:
    """Return a connection of its own, and whether it holds the replay."""
    with transaction(engine):
        pass  # raises what is wrong with the database as ours
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    key = text("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))")
    return connection, bool(connection.execute(key, {"key": f"sightline-replay|{replay_id}"}).scalar())
