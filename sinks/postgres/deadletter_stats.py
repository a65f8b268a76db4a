"""Counting dead letters, and choosing them for what is done to many. Each call is one transaction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Date, Engine, cast, func, select

from sightline.runtime.database import transaction
from sinks.postgres.reader import DeadLetterFilter, narrow
from sinks.postgres.tables import dead_letters


@dataclass(slots=True)
class DeadLetterCount:
    """How many dead letters of one code, stage, source and day (UTC) there are; `states` is empty where unknown."""

    day: date | None
    code: str
    stage: str
    source: str | None
    count: int = 0
    states: dict[str, int] = field(default_factory=dict)


def count_dead_letters(engine: Engine, wanted: DeadLetterFilter) -> list[DeadLetterCount]:
    """Count by day, code, stage and source; the newest day first, then the largest count. Raises OutageError."""
    day = cast(func.timezone("UTC", dead_letters.c.dl_time), Date)
    groups = (day, dead_letters.c.code, dead_letters.c.stage, dead_letters.c.source)
    query = narrow(select(*groups, dead_letters.c.state, func.count()), wanted).group_by(*groups, dead_letters.c.state)
    found: dict[tuple[date | None, str, str, str | None], dict[str, int]] = defaultdict(dict)
    with transaction(engine) as connection:
        for when, code, stage, source, state, count in connection.execute(query):
            found[when, code, stage, source][state] = count
    counts = [DeadLetterCount(*group, sum(states.values()), states) for group, states in found.items()]
    return sort_counts(counts)


def sort_counts(counts: Sequence[DeadLetterCount]) -> list[DeadLetterCount]:
    """Return counts with the newest day first, then the largest count."""
    return sorted(
        counts,
        key=lambda one: (-(one.day or date.min).toordinal(), -one.count, one.code, one.stage, one.source or ""),
    )


def choose_dead_letters(
    engine: Engine, wanted: DeadLetterFilter, states: Sequence[str], limit: int | None
) -> dict[str, list[str]]:
    """Return the ids of dead letters in one of `states`, by pipeline, as they lie on their topic: the oldest first.

    Raises OutageError or SetupError.
    """
    letters = dead_letters.c
    query = narrow(select(letters.pipeline, letters.dl_id), wanted).where(letters.state.in_(states))
    query = query.order_by(letters.pipeline, letters.dl_topic, letters.dl_partition, letters.dl_offset).limit(limit)
    chosen: dict[str, list[str]] = defaultdict(list)
    with transaction(engine) as connection:
        for pipeline, dl_id in connection.execute(query):
            chosen[pipeline].append(dl_id)
    return dict(chosen)
