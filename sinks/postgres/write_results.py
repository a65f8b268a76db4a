"""Writing results: look up which are there, COPY the others with their children.

No staging tables and no ON CONFLICT: COPY goes straight into the tables, which is the fastest way there is,
and a repeat is rare. Two writers that hold the same result at the same time are told apart by the primary
key: the later one is rolled back as a whole, and finds the rows when it runs again.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg2.errors import UniqueViolation
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a type, whatever its module calls it

from schemas.alert import RULE_EVENT_ID_REUSED, Alert, make_alert
from schemas.errors import OutageError
from sightline.runtime.database import SERVICE
from sinks.postgres.copy import copy_lines
from sinks.postgres.copytext import array
from sinks.postgres.entries import ResultEntry
from sinks.postgres.rows import (
    ARTIFACT_COLUMNS,
    CHECK_COLUMNS,
    DETECTION_COLUMNS,
    RESULT_COLUMNS,
    artifact_rows,
    check_rows,
    detection_rows,
    event_key,
    result_row,
)
from sinks.protocol import StoreReport

# What may differ between two runs over the same frame without anybody's answer being another one.
UNSTABLE = frozenset({"processed_at", "timings_ms", "origin", "cached_from"})


class RacedError(OutageError):
    """Another writer stored some of these results at the same time: run the transaction again."""


def write_results(cursor: Cursor, entries: Sequence[ResultEntry], now: datetime) -> StoreReport:
    """Store results inside the caller's transaction.

    The order keeps readers and other writers safe:

    1. Of those with the same id within the batch the first wins; sort by id, so that two writers lock rows
       in the same order.
    2. Look up which are stored already; they are compared, not written.
    3. Note which event ids another frame of the same source has used.
    4. COPY the new results, then their children.
    5. Settle the dead letters of their frames.
    """
    # 1.
    first = {entry.result["result_id"]: place for place, entry in reversed(list(enumerate(entries)))}
    batch = [entries[first[result_id]] for result_id in sorted(first)]
    repeats = [entry for place, entry in enumerate(entries) if first[entry.result["result_id"]] != place]
    # 2.
    stored = _stored_bodies(cursor, batch)
    new = [entry for entry in batch if entry.key not in stored]
    repeats += [entry for entry in batch if entry.key in stored]
    differing = sum(
        not _same(entry, stored.get(entry.key) or _body(entries[first[entry.result["result_id"]]])) for entry in repeats
    )
    # 3.
    reused = _reused(cursor, batch)
    # 4.
    _copy(cursor, new)
    # 5.
    _settle(cursor, (entry for entry in new if entry.settles))
    return StoreReport(
        stored=len(new),
        repeated=len(repeats),
        differing=differing,
        reused=sum(entry.key not in stored for entry in reused),
        alerts=_reuse_alerts(reused, now),
    )


def _stored_bodies(cursor: Cursor, batch: Sequence[ResultEntry]) -> dict[tuple[str, datetime], dict[str, Any]]:
    """Return the bodies of those that are stored.

    The range of times is what lets the planner leave out partitions, the list of ids what makes it use the
    primary key: joined to a list of pairs it may read whole partitions instead while their statistics are old.
    """
    times = [entry.result["captured_at"] for entry in batch]
    cursor.execute(
        "SELECT result_id, captured_at, body FROM results"
        " WHERE result_id = ANY(%s::text[]) AND captured_at BETWEEN %s AND %s",
        (array(entry.result["result_id"] for entry in batch), min(times), max(times)),
    )
    return {(result_id, captured_at): body for result_id, captured_at, body in cursor.fetchall()}


def _same(entry: ResultEntry, body: dict[str, Any]) -> bool:
    """Compare as JSON values, so that neither order nor the way a number is written counts."""
    mine = _body(entry)
    return all(mine.get(name) == body.get(name) for name in (mine.keys() | body.keys()) - UNSTABLE)


def _body(entry: ResultEntry) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(entry.body)
    return body


def _reused(cursor: Cursor, batch: Sequence[ResultEntry]) -> list[ResultEntry]:
    """Return those whose event id stands at another frame of the same source, stored or in this batch.

    Repeats are looked at too: had we ended between commit and publishing the alert, they carry it now.
    LIMIT 1 in a lateral keeps it one index probe for each, however often a counter came round.
    """
    keyed = [(entry, key) for entry in batch if (key := event_key(entry.result))]
    cursor.execute(
        "SELECT n.place FROM unnest(%s::uuid[], %s::text[]) WITH ORDINALITY AS n (event_key, frame_id, place),"
        " LATERAL (SELECT 1 FROM results r"
        " WHERE r.event_key = n.event_key AND r.frame_id <> n.frame_id LIMIT 1) AS hit",
        (array(key for _, key in keyed), array(entry.result["frame_id"] for entry, _ in keyed)),
    )
    places = {place - 1 for (place,) in cursor.fetchall()}
    first: dict[str, str] = {}
    for place, (entry, key) in enumerate(keyed):
        if first.setdefault(key, entry.result["frame_id"]) != entry.result["frame_id"]:
            places.add(place)
    return [keyed[place][0] for place in sorted(places)]


def _reuse_alerts(reused: Sequence[ResultEntry], now: datetime) -> tuple[Alert, ...]:
    """Make one alert per source and day of capture: a redelivery tomorrow gives the same alert."""
    days = Counter((entry.result["source"], f"{entry.key[1].astimezone(UTC):%Y-%m-%d}") for entry in reused)
    return tuple(
        make_alert(
            rule=RULE_EVENT_ID_REUSED,
            source=source,
            window=day,
            raised_at=now,
            summary="a source used an event id again for another picture",
            facts={"frames": count},
        )
        for (source, day), count in sorted(days.items())
    )


def _copy(cursor: Cursor, entries: Sequence[ResultEntry]) -> None:
    results = [entry.result for entry in entries]
    try:
        copy_lines(cursor, "results", RESULT_COLUMNS, (result_row(entry.result, entry.body) for entry in entries))
    except UniqueViolation as error:
        raise RacedError(SERVICE, "another writer stores the same results") from error
    copy_lines(cursor, "quality_checks", CHECK_COLUMNS, map(check_rows, results))
    copy_lines(cursor, "detections", DETECTION_COLUMNS, map(detection_rows, results))
    copy_lines(cursor, "artifacts", ARTIFACT_COLUMNS, map(artifact_rows, results))


def _settle(cursor: Cursor, entries: Iterable[ResultEntry]) -> None:
    """Resolve what failed before. A replay's failure, or an artifact's, is not answered by a live result."""
    frames: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        frames[entry.result["pipeline"]].append(entry.result["frame_id"])
    for pipeline, frame_ids in frames.items():
        cursor.execute(
            "UPDATE dead_letters SET state = 'resolved', state_changed_at = now()"
            " WHERE frame_id = ANY(%s::text[]) AND pipeline = %s AND state IN ('open', 'redriven')"
            " AND stage <> 'sink.objects' AND coalesce(origin_topic, '') NOT LIKE '%%.replay'",
            (array(frame_ids), pipeline),
        )
