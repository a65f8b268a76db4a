"""Collects what the system says it did, from every place that it writes to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import cv2
import numpy as np
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.postgresql import array

from schemas.frame import Origin
from schemas.identity import sha256_hex
from sightline.demo.facts import Evidence, Kept, LetterRow, ResultRow
from sightline.demo.sample import OUR_CAMERAS, is_guest
from sightline.demo.tally import Tally
from sightline.runtime.database import transaction
from sightline.runtime.objectstore import ObjectStore
from sinks.postgres.tables import artifacts, dead_letters, gaps, quality_checks, results

_MAX_OBJECT_BYTES = 64 * 1024 * 1024


def collect(
    tally: Tally,
    engine: Engine,
    store: ObjectStore,
    pipelines: Sequence[str],
    since: datetime,
    *,
    models: Mapping[str, Mapping[str, str]],
) -> Evidence:
    """Read rows written since `since`, and every object that they name; those of guests are only counted.

    `models` are the digests of those that were activated, by pipeline and role. Raises OutageError or SetupError.
    """
    sent, answers, refused = tally.everything()
    with transaction(engine) as connection:
        result_rows = _result_rows(connection, pipelines, since)
        letter_rows = _letter_rows(connection, pipelines, since)
        lost_ranges = connection.scalar(select(func.count()).select_from(gaps).where(gaps.c.ingested_at >= since)) or 0
    keys = {kept.key for row in result_rows for kept in row.kept} | {row.object_key for row in letter_rows}
    overlays = {kept.key for row in result_rows for kept in row.kept if kept.kind == "overlay"}
    return Evidence(
        sent=sent,
        refused=refused,
        answers=[answer for answer in answers if not is_guest(answer.source)],
        result_rows=result_rows,
        letter_rows=letter_rows,
        objects=_objects(store, (key for key in keys if key is not None)),
        overlays_wh=_sizes(store, overlays),
        models=models,
        lost_ranges=lost_ranges,
        guests=sum(is_guest(answer.source) for answer in answers),
    )


def _result_rows(connection: Connection, pipelines: Sequence[str], since: datetime) -> list[ResultRow]:
    failed = (
        select(func.array_agg(quality_checks.c.name))
        .where(quality_checks.c.result_id == results.c.result_id, ~quality_checks.c.passed)
        .scalar_subquery()
    )
    kept = (
        select(func.array_agg(array([artifacts.c.kind, artifacts.c.key, artifacts.c.sha256])))
        .where(artifacts.c.result_id == results.c.result_id)
        .scalar_subquery()
    )
    columns = results.c
    query = select(
        columns.result_id,
        columns.frame_id,
        columns.origin_topic,
        columns.origin_partition,
        columns.origin_offset,
        columns.verdict,
        failed,
        kept,
    ).where(columns.pipeline.in_(pipelines), columns.ingested_at >= since, columns.source.in_(OUR_CAMERAS))
    return [
        ResultRow(
            row[0],
            row[1],
            Origin(row[2], row[3], row[4]),
            row[5],
            frozenset(row[6] or ()),
            [Kept(*kept) for kept in row[7] or ()],
        )
        for row in connection.execute(query)
    ]


def _letter_rows(connection: Connection, pipelines: Sequence[str], since: datetime) -> list[LetterRow]:
    columns = dead_letters.c
    ours = columns.source.in_(OUR_CAMERAS) | columns.source.is_(None)
    query = select(
        columns.dl_id,
        columns.origin_topic,
        columns.origin_partition,
        columns.origin_offset,
        columns.code,
        columns.object_key,
    ).where(columns.pipeline.in_(pipelines), columns.ingested_at >= since, ours)
    return [LetterRow(row[0], Origin(row[1], row[2], row[3]), row[4], row[5]) for row in connection.execute(query)]


def _objects(store: ObjectStore, keys: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of what really lies under each key; keys without an object are left out."""
    return {key: sha256_hex(store.get(key, _MAX_OBJECT_BYTES)) for key in keys if store.stat(key) is not None}


def _sizes(store: ObjectStore, keys: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return width and height of the picture under each key; what is not there, or no picture, is left out."""
    sizes = {}
    for key in keys:
        if store.stat(key) is not None:
            picture = cv2.imdecode(np.frombuffer(store.get(key, _MAX_OBJECT_BYTES), np.uint8), cv2.IMREAD_COLOR)
            if picture is not None:
                sizes[key] = (picture.shape[1], picture.shape[0])
    return sizes
