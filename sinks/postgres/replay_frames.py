"""Which frames were answered, and where their pictures are kept: what a replay is chosen by and fed from."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, and_, cast, func, select
from sqlalchemy.dialects.postgresql import JSONPATH

from sightline.runtime.database import transaction
from sinks.objects.keys import dead_letter_key
from sinks.postgres.tables import artifacts, dead_letters, results

_PICTURE = "picture"
_ROWS = 1000
# Of a result by several models, the column `model_digest` has only the first.
_BY_MODEL = cast("$.models[*].digest ? (@ starts with $digest)", JSONPATH)


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """Which frames; None and empty do not narrow. Ends of times are exclusive. `before`: rows stored until then.

    `codes` are of dead letters, verdict, score and model of earlier live results. Arrival is taken from when a frame
    was answered: nobody has written down when it came.
    """

    pipeline: str
    topic: str
    before: datetime
    sources: tuple[str, ...] = ()
    frame_ids: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    captured_from: datetime | None = None
    captured_to: datetime | None = None
    answered_from: datetime | None = None
    answered_to: datetime | None = None
    verdict: str | None = None
    score_from: float | None = None
    score_to: float | None = None
    model: str | None = None

    @property
    def of_results(self) -> bool:
        """Tell whether only frames with a result can be meant."""
        return any(one is not None for one in (self.verdict, self.score_from, self.score_to, self.model))


@dataclass(frozen=True, slots=True)
class KnownFrame:
    """A frame that has a row. `key` is that of the object with its picture, None where nothing is kept.

    `original`: the object holds the bytes that came, with `headers` and `message_key` as they were. Else `metadata` is
    what the result says of the original's, where its pipeline keeps that.
    """

    partition: int
    offset: int
    frame_id: str | None
    event_id: str | None
    source: str | None
    captured_at: datetime | None
    answered_at: datetime | None
    media_type: str | None
    key: str | None
    size_bytes: int
    original: bool = False
    headers: list[list[str | None]] | None = None
    headers_lost: bool = False
    message_key: bytes | None = None
    metadata: dict[str, str | int | float] | None = None


class FrameRows:
    """Reads `results` and `dead_letters`. Every call blocks, and raises OutageError or SetupError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def places(self, wanted: FrameFilter) -> Iterator[tuple[int, int, str | None]]:
        """Yield partition, offset and frame id of every frame that fits, in no promised order."""
        for table, columns in _tables(wanted):
            query = select(table.c.origin_partition, table.c.origin_offset, table.c.frame_id).where(columns)
            with transaction(self._engine) as connection:
                streamed = connection.execution_options(yield_per=_ROWS).execute(query)
                yield from (tuple(row) for row in streamed)

    def earliest(self, wanted: FrameFilter) -> dict[int, int]:
        """Return the first offset of each partition that fits."""
        found: dict[int, int] = {}
        for table, columns in _tables(wanted):
            query = select(table.c.origin_partition, func.min(table.c.origin_offset)).where(columns)
            with transaction(self._engine) as connection:
                for partition, offset in connection.execute(query.group_by(table.c.origin_partition)):
                    found[partition] = min(offset, found.get(partition, offset))
        return found

    def known(self, wanted: FrameFilter, partition: int, begin: int, end: int) -> list[KnownFrame]:
        """Return the frames that fit of one partition, from `begin` to before `end`, by offset."""
        found: list[KnownFrame] = []
        for table, columns in _tables(wanted):
            here = and_(
                columns,
                table.c.origin_partition == partition,
                table.c.origin_offset >= begin,
                table.c.origin_offset < end,
            )
            query = _answered(here) if table is results else select(table).where(here)
            with transaction(self._engine) as connection:
                rows = connection.execute(query).mappings().all()
            found += [_result(row) if table is results else _letter(row) for row in rows]
        return sorted(found, key=lambda one: one.offset)

    def mean_ms(self, pipeline: str, count: int) -> tuple[float, int] | None:
        """Return the mean time of the newest results inside a worker, and of how many; None where there is none."""
        newest = (
            select(results.c.processing_ms)
            .where(results.c.pipeline == pipeline, results.c.processing_ms.is_not(None))
            .order_by(results.c.ingested_at.desc())
            .limit(count)
            .subquery()
        )
        with transaction(self._engine) as connection:
            mean, number = connection.execute(select(func.avg(newest.c.processing_ms), func.count())
                                              .select_from(newest)).one()  # fmt: skip
        return None if mean is None else (float(mean), int(number))

    def replayed_rate(self, pipeline: str) -> float | None:
        """Return the frames a second of the newest replay that took some seconds, or None."""
        query = (
            select(func.count(), func.min(results.c.processed_at), func.max(results.c.processed_at))
            .where(results.c.pipeline == pipeline, results.c.replay_id.is_not(None), results.c.supersedes.is_(None))
            .group_by(results.c.replay_id)
            .order_by(func.max(results.c.processed_at).desc())
            .limit(1)
        )
        with transaction(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        seconds = 0.0 if row is None else (row[2] - row[1]).total_seconds()
        return None if row is None or seconds < 1 else float(row[0]) / seconds


def _tables(wanted: FrameFilter) -> list[tuple[Table, ColumnElement[bool]]]:
    found = []
    if not wanted.codes:
        found.append((results, _of_results(wanted)))
    if not wanted.of_results:
        found.append((dead_letters, _of_letters(wanted)))
    return found


def _of_results(wanted: FrameFilter) -> ColumnElement[bool]:
    row = results.c
    limits: list[ColumnElement[bool]] = [row.variant == "live", row.replay_id.is_(None)]
    if wanted.verdict is not None:
        limits.append(row.verdict == wanted.verdict)
    if wanted.score_from is not None:
        limits.append(row.score >= wanted.score_from)
    if wanted.score_to is not None:
        limits.append(row.score <= wanted.score_to)
    if wanted.model is not None:
        limits.append(func.jsonb_path_exists(row.body, _BY_MODEL, func.jsonb_build_object("digest", wanted.model)))
    return and_(*limits, *_shared(results, "processed_at", wanted))


def _of_letters(wanted: FrameFilter) -> ColumnElement[bool]:
    limits: list[ColumnElement[bool]] = []
    if wanted.codes:
        limits.append(dead_letters.c.code.in_(wanted.codes))
    return and_(*limits, *_shared(dead_letters, "dl_time", wanted))


def _shared(table: Table, answered: str, wanted: FrameFilter) -> list[ColumnElement[bool]]:
    row = table.c
    limits: list[ColumnElement[bool]] = [
        row.pipeline == wanted.pipeline,
        row.origin_topic == wanted.topic,
        row.ingested_at <= wanted.before,
        row.origin_partition.is_not(None),
        row.origin_offset.is_not(None),
    ]
    if wanted.sources:
        limits.append(row.source.in_(wanted.sources))
    if wanted.frame_ids:
        limits.append(row.frame_id.in_(wanted.frame_ids))
    for column, begin, end in (
        ("captured_at", wanted.captured_from, wanted.captured_to),
        (answered, wanted.answered_from, wanted.answered_to),
    ):
        if begin is not None:
            limits.append(row[column] >= begin)
        if end is not None:
            limits.append(row[column] < end)
    return limits


def _answered(here: ColumnElement[bool]) -> Any:
    kept = and_(
        artifacts.c.result_id == results.c.result_id,
        artifacts.c.captured_at == results.c.captured_at,
        artifacts.c.kind == _PICTURE,
    )
    columns = ("origin_partition", "origin_offset", "frame_id", "event_id", "source", "captured_at", "processed_at")
    return (
        select(
            *(results.c[name] for name in columns),
            artifacts.c.key,
            artifacts.c.media_type,
            artifacts.c.size_bytes,
            results.c.body["summary"]["metadata"].label("metadata"),
        )
        .select_from(results.outerjoin(artifacts, kept))
        .where(here)
    )


def _result(row: Any) -> KnownFrame:
    return KnownFrame(
        partition=row["origin_partition"],
        offset=row["origin_offset"],
        frame_id=row["frame_id"],
        event_id=row["event_id"],
        source=row["source"],
        captured_at=row["captured_at"],
        answered_at=row["processed_at"],
        media_type=row["media_type"],
        key=row["key"],
        size_bytes=row["size_bytes"] or 0,
        metadata=row["metadata"],
    )


def _letter(row: Any) -> KnownFrame:
    return KnownFrame(
        partition=row["origin_partition"],
        offset=row["origin_offset"],
        frame_id=row["frame_id"],
        event_id=row["event_id"],
        source=row["source"],
        captured_at=row["captured_at"],
        answered_at=row["dl_time"],
        media_type=None,
        # A value too large for its message lies under the same name.
        key=row["object_key"] if row["dataref"] is None else dead_letter_key(row["pipeline"], row["dl_id"]),
        size_bytes=row["value_size"] or 0,
        original=True,
        headers=row["headers"],
        headers_lost=row["headers_lost"],
        message_key=None if row["key"] is None else bytes(row["key"]),
    )
