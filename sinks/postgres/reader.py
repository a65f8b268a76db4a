"""Reading what the sink has stored. Each call is one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Engine, Select, select

from sightline.runtime.database import transaction
from sinks.postgres.tables import dead_letters

Row = Mapping[str, Any]
_Selected = TypeVar("_Selected", bound=Select[Any])


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; None does not narrow."""

    pipeline: str | None = None
    code: str | None = None
    stage: str | None = None
    source: str | None = None
    state: str | None = None
    since: datetime | None = None  # by the time of the failure
    until: datetime | None = None  # exclusive
    dl_ids: tuple[str, ...] | None = None


def list_dead_letters(engine: Engine, wanted: DeadLetterFilter, limit: int | None) -> list[Row]:
    """Return rows of `dead_letters`, the newest failure first, by column name; up to `limit`, or all.

    Raises OutageError or SetupError.
    """
    query = narrow(select(dead_letters), wanted)
    query = query.order_by(dead_letters.c.dl_time.desc().nulls_last(), dead_letters.c.dl_id).limit(limit)
    with transaction(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def find_dead_letter(engine: Engine, dl_id: str) -> Row | None:
    """Return the row of one dead letter by column name, or None. Raises OutageError or SetupError."""
    return next(iter(read_dead_letters(engine, [dl_id])), None)


def read_dead_letters(engine: Engine, dl_ids: Sequence[str]) -> list[Row]:
    """Return the rows of these dead letters, in the order of ids given. Raises OutageError or SetupError."""
    with transaction(engine) as connection:
        query = select(dead_letters).where(dead_letters.c.dl_id.in_(dl_ids))
        found = {row["dl_id"]: dict(row) for row in connection.execute(query).mappings()}
    return [found[dl_id] for dl_id in dl_ids if dl_id in found]


def narrow(query: _Selected, wanted: DeadLetterFilter) -> _Selected:
    """Return a query over `dead_letters` with the filter's conditions."""
    for name in ("pipeline", "code", "stage", "source", "state"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(dead_letters.c[name] == value)
    if wanted.since is not None:
        query = query.where(dead_letters.c.dl_time >= wanted.since)
    if wanted.until is not None:
        query = query.where(dead_letters.c.dl_time < wanted.until)
    if wanted.dl_ids is not None:
        query = query.where(dead_letters.c.dl_id.in_(wanted.dl_ids))
    return query
