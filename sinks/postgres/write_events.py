"""Writing dead letters and alerts: few rows, so plain INSERT … ON CONFLICT DO NOTHING."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a type, whatever its module calls it
from psycopg2.extras import execute_values

from sinks.postgres.copytext import array
from sinks.postgres.entries import AlertEntry, DeadLetterEntry
from sinks.protocol import StoreReport


def write_dead_letters(cursor: Cursor, entries: Sequence[DeadLetterEntry]) -> StoreReport:
    """Store dead letters inside the caller's transaction; one whose frame has its result by now is resolved."""
    rows = {entry.dl_id: entry.columns for entry in reversed(entries)}
    new = _insert(cursor, "dead_letters", "dl_id", rows)
    cursor.execute(
        "UPDATE dead_letters d SET state = 'resolved', state_changed_at = now()"
        " WHERE d.dl_id = ANY(%s::text[]) AND d.state = 'open'"
        " AND d.stage <> 'sink.objects' AND coalesce(d.origin_topic, '') NOT LIKE '%%.replay'"
        " AND EXISTS (SELECT 1 FROM results r WHERE r.frame_id = d.frame_id AND r.pipeline = d.pipeline"
        " AND r.variant = 'live' AND (r.replay_id IS NULL OR r.supersedes IS NOT NULL))",
        (array(new),),
    )
    return StoreReport(stored=len(new), repeated=len(entries) - len(new))


def write_alerts(cursor: Cursor, entries: Sequence[AlertEntry]) -> StoreReport:
    """Store alerts, and the gaps that some of them report, inside the caller's transaction."""
    rows = {entry.alert_id: entry.columns for entry in reversed(entries)}
    new = _insert(cursor, "alerts", "alert_id", rows)
    gaps = {entry.alert_id: entry.gap for entry in reversed(entries) if entry.gap is not None}
    if gaps:
        _insert(cursor, "gaps", "alert_id", gaps)
    return StoreReport(stored=len(new), repeated=len(entries) - len(new))


def _insert(cursor: Cursor, table: str, key: str, rows: Mapping[str, dict[str, Any]]) -> list[str]:
    """Insert rows by their ids, in the order of ids, and return the ids that were new."""
    columns = list(next(iter(rows.values())))
    found = execute_values(
        cursor,
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES %s ON CONFLICT ({key}) DO NOTHING RETURNING {key}",  # noqa: S608 - our own names
        [tuple(rows[row_id].values()) for row_id in sorted(rows)],
        page_size=len(rows),
        fetch=True,
    )
    return [row_id for (row_id,) in found]
