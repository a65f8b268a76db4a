"""Reading what the sink has stored. Each call is one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from sightline.runtime.database import transaction
from sinks.postgres.tables import dead_letters

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; None does not narrow."""

    pipeline: str | None = None
    code: str | None = None
    stage: str | None = None
    source: str | None = None
    state: str | None = None
    since: datetime | None = None  # by the time of the failure


def list_dead_letters(engine: Engine, wanted: DeadLetterFilter, limit: int) -> list[Row]:
    """Return up to `limit` rows of `dead_letters`, the newest failure first, by column name.

    Raises OutageError or SetupError.
    """
    query = select(dead_letters)
    for name in ("pipeline", "code", "stage", "source", "state"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(dead_letters.c[name] == value)
    if wanted.since is not None:
        query = query.where(dead_letters.c.dl_time >= wanted.since)
    query = query.order_by(dead_letters.c.dl_time.desc().nulls_last(), dead_letters.c.dl_id).limit(limit)
    with transaction(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def find_dead_letter(engine: Engine, dl_id: str) -> Row | None:
    """Return the row of one dead letter by column name, or None. Raises OutageError or SetupError."""
    with transaction(engine) as connection:
        row = connection.execute(select(dead_letters).where(dead_letters.c.dl_id == dl_id)).mappings().one_or_none()
    return None if row is None else dict(row)
