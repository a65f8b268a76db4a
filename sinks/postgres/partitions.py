"""Monthly partitions, made ahead of the rows."""

from datetime import UTC, datetime
from itertools import pairwise

from sqlalchemy import Connection, Engine

from sightline.runtime.database import transaction
from sinks.postgres.tables import PARTITIONED

MONTHS_AHEAD = 3
# Any constant that no other user of the database takes.
_LOCK_KEY = 0x51_67_68_74_01


def ensure_partitions(engine: Engine, now: datetime) -> list[str]:
    """Make the partitions of this month and the next ones where they are missing; return those made.

    A month of which the DEFAULT partition already holds rows is left to it: PostgreSQL would refuse, and
    those rows are served all the same. Waits at most 2 s for a table that a long query reads, since
    everybody who writes queues up behind us meanwhile. Raises SetupError without the right to create, and
    OutageError when it could not get its locks.
    """
    made: list[str] = []
    for table in PARTITIONED:
        for first, end in months(now):
            name = f"{table}_{first:%Y_%m}"
            with transaction(engine) as connection:
                if _make(connection, table, name, f"{first:%Y-%m-%d}", f"{end:%Y-%m-%d}"):
                    made.append(name)
    return made


def months(now: datetime) -> list[tuple[datetime, datetime]]:
    """Return first day and end (exclusive), in UTC, of this month and of MONTHS_AHEAD more."""
    today = now.astimezone(UTC)
    count = today.year * 12 + today.month - 1
    starts = [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(count, count + MONTHS_AHEAD + 2)]
    return list(pairwise(starts))


def _make(connection: Connection, table: str, name: str, first: str, end: str) -> bool:
    """Make one partition. The names are ours, so they may stand in the statement."""
    if connection.exec_driver_sql("SELECT to_regclass(%s)", (name,)).scalar() is not None:
        return False
    connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
    held = connection.exec_driver_sql(
        f"SELECT EXISTS (SELECT 1 FROM {table}_default WHERE captured_at >= %s AND captured_at < %s)",  # noqa: S608
        (f"{first} 00:00:00+00", f"{end} 00:00:00+00"),
    ).scalar()
    if held:
        return False
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} "
        f"FOR VALUES FROM ('{first} 00:00:00+00') TO ('{end} 00:00:00+00')"
    )
    return True
