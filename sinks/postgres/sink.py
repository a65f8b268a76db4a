"""The sink that turns results, dead letters and alerts into rows."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import cast

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a type, whatever its module calls it
from sqlalchemy import Engine

from schemas.errors import InputError, OutageError, Stage, UnclearError
from schemas.frame import Origin
from sightline.runtime.database import transaction
from sinks.postgres.deadletter_resolve import resolve_redriven, resolve_replayed
from sinks.postgres.entries import AlertEntry, DeadLetterEntry, PostgresEntry, ResultEntry
from sinks.postgres.partitions import ensure_partitions
from sinks.postgres.read import bare_dead_letter, read_entry
from sinks.postgres.write_events import write_alerts, write_dead_letters
from sinks.postgres.write_results import RacedError, write_results
from sinks.protocol import SinkRecord, StoreReport

_RACES = 5


class PostgresSink:
    """Stores results, dead letters and alerts. One transaction a batch; see `sinks.protocol.Sink`."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
        self._partitions_made_on: date | None = None

    @property
    def stage(self) -> Stage:
        """Return the stage that dead letters of this sink carry."""
        return Stage.SINK_POSTGRES

    def read(self, record: SinkRecord) -> PostgresEntry:
        """Parse one record; see `read_entry`."""
        return read_entry(record)

    def store(self, entries: Sequence[PostgresEntry]) -> StoreReport:
        """Store all entries in one transaction, or none. A dead letter alone is never refused for its content."""
        if not entries:
            return StoreReport()
        self._make_partitions()
        only = entries[0] if len(entries) == 1 else None
        try:
            return self._store(entries)
        except (InputError, UnclearError):
            if not isinstance(only, DeadLetterEntry):
                raise
            return self._store([bare_dead_letter(only)])

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _store(self, entries: Sequence[PostgresEntry]) -> StoreReport:
        for _ in range(_RACES - 1):
            try:
                return self._write(entries)
            except RacedError:
                continue
        return self._write(entries)

    def _write(self, entries: Sequence[PostgresEntry]) -> StoreReport:
        with transaction(self._engine) as connection:
            # COPY is psycopg2's own; SQLAlchemy has no word for it.
            return _write_all(cast("Cursor", connection.connection.cursor()), entries, self._now())

    def _make_partitions(self) -> None:
        """Look once a day whether next months' partitions are there.

        Without the right to make them, or with a table locked by a long query, the DEFAULT partitions take
        the rows; if the database is away, `store` is about to find out.
        """
        today = self._now().date()
        if self._partitions_made_on == today:
            return
        try:
            ensure_partitions(self._engine, self._now())
        except (OutageError, InputError, UnclearError):
            return
        finally:
            self._partitions_made_on = today


def _write_all(cursor: Cursor, entries: Sequence[PostgresEntry], now: datetime) -> StoreReport:
    report = StoreReport()
    if results := [entry for entry in entries if isinstance(entry, ResultEntry)]:
        report += write_results(cursor, results, now)
    if dead_letters := [entry for entry in entries if isinstance(entry, DeadLetterEntry)]:
        report += write_dead_letters(cursor, dead_letters)
    if alerts := [entry for entry in entries if isinstance(entry, AlertEntry)]:
        report += write_alerts(cursor, alerts)
    resolve_redriven(cursor, _answered([*results, *alerts]))
    resolve_replayed(cursor, _replayed(results))
    return report


def _replayed(entries: Sequence[ResultEntry]) -> Iterator[tuple[str, str]]:
    """Yield replay and frame of what replays say."""
    for entry in entries:
        replay_id = entry.result.get("replay_id")
        if replay_id is not None:
            yield replay_id, entry.result["frame_id"]


def _answered(entries: Sequence[ResultEntry | AlertEntry]) -> Iterator[Origin]:
    """Yield the places whose dead letters are answered: of the records stored, and of the frames that they answer."""
    for entry in entries:
        if entry.place is not None:
            yield entry.place
        if isinstance(entry, ResultEntry) and entry.settles:
            origin = entry.result.get("origin")
            if origin is not None:
                yield Origin(origin["topic"], origin["partition"], origin["offset"])
