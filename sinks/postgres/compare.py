"""Reading two results of each frame side by side: a replay's, and those that it is compared with.

What was promoted since stands as a row of its own that supersedes the live one. It takes part on neither side: the
live side is what workers first answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Select, Subquery, Text, case, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, JSONPATH, aggregate_order_by

from sightline.runtime.database import transaction
from sinks.postgres.tables import dead_letters, replays, results

LIVE: Final = "live"
_PAGE: Final = 500
# What says how, when and from where a frame was answered, not what the answer is.
_APART: Final = (
    "result_id", "event_id", "pipeline", "variant", "source", "captured_at", "processed_at", "replay_id", "supersedes",
    "archived", "image", "models", "settings_digest", "origin", "cached_from", "timings_ms", "artifacts",
)  # fmt: skip
_COLUMNS: Final = ("result_id", "kind", "verdict", "score", "label", "probability")
# Four flat lists cost less than whole detections, whose polygons may be long.
_LISTS: Final = {
    "classes": "$.detections[*].class",
    "class_ids": "$.detections[*].class_id",
    "confidences": "$.detections[*].confidence",
    "edges": "$.detections[*].bbox[*]",
    "checks": "$.quality.checks[*].name",
    "passed": "$.quality.checks[*].passed",
}


@dataclass(frozen=True, slots=True)
class ReplayFacts:
    """What a replay has answered so far. `topics` are those that its frames came from.

    `failed` counts its dead letters by code; `state` is None where nobody has recorded the replay.
    """

    state: str | None
    failed: Mapping[str, int]
    rows: int
    pipelines: tuple[str, ...]
    topics: tuple[str, ...]
    sources: tuple[str, ...]
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class SideRow:
    """One result. Lists run in parallel: one entry a detection (four of `edges`), one a quality check."""

    result_id: str
    kind: str
    verdict: str | None
    score: float | None
    label: str | None
    probability: float | None
    classes: Sequence[str]
    class_ids: Sequence[int]
    confidences: Sequence[float]
    edges: Sequence[float]
    checks: Sequence[str]
    passed: Sequence[bool]


@dataclass(frozen=True, slots=True)
class PairRow:
    """One frame, with a result on at least one side.

    `identical`: the answers are equal as JSON. `copied`: one side's input was not what the live worker saw.
    """

    frame_id: str
    source: str
    old: SideRow | None
    new: SideRow | None
    identical: bool
    copied: bool


def read_replay(engine: Engine, replay_id: str) -> ReplayFacts:
    """Return what there is of a replay. Reads all of its rows; blocks. Raises OutageError or SetupError."""
    rows = _replayed(replay_id).subquery()

    def distinct(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.array_remove(func.array_agg(aggregate_order_by(column.distinct(), column)), None)

    query = select(
        func.count(),
        distinct(rows.c.pipeline),
        distinct(rows.c.origin_topic),
        distinct(rows.c.source),
        func.min(rows.c.captured_at),
        func.max(rows.c.captured_at),
    )
    state = select(replays.c.state).where(replays.c.replay_id == replay_id)
    by_code = select(dead_letters.c.code, func.count().label("frames")).group_by(dead_letters.c.code)
    with transaction(engine) as connection:
        count, pipelines, topics, sources, first, last = connection.execute(query).one()
        failed = connection.execute(by_code.where(dead_letters.c.replay_id == replay_id))
        return ReplayFacts(
            state=connection.execute(state).scalar_one_or_none(),
            failed={row.code: row.frames for row in failed},
            rows=count,
            pipelines=tuple(pipelines or ()),
            topics=tuple(topics or ()),
            sources=tuple(sources or ()),
            first=first,
            last=last,
        )


def read_pairs(engine: Engine, replay_id: str, facts: ReplayFacts, against: str, pipeline: str) -> Iterator[PairRow]:
    """Yield every frame of the two sides, in no order, in one transaction that lasts until the last one is taken.

    `against` is another replay's id, or `LIVE`: then the old side are the live results of `pipeline`, of the replay's
    own cameras, from its first to its last time of capture. Rows come in pages through a cursor of the server's.
    Blocks. Raises OutageError or SetupError.
    """
    old = (_live(facts, pipeline) if against == LIVE else _replayed(against)).subquery("old_results")
    new = _replayed(replay_id).subquery("new_results")
    query = _pairs(old, new, _camera_bytes(old, new) if against != LIVE else old.c.sha256)
    with transaction(engine) as connection:
        for row in connection.execution_options(yield_per=_PAGE).execute(query).mappings():
            yield PairRow(
                row["frame_id"], row["source"], _side(row, "old"), _side(row, "new"), row["identical"], row["copied"]
            )


def read_bodies(engine: Engine, result_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return whole results by their ids. Raises OutageError or SetupError."""
    query = select(results.c.result_id, results.c.body).where(results.c.result_id.in_(result_ids))
    with transaction(engine) as connection:
        return {row.result_id: row.body for row in connection.execute(query)}


def _replayed(replay_id: str) -> Select[Any]:
    return _answers().where(results.c.replay_id == replay_id)


def _live(facts: ReplayFacts, pipeline: str) -> Select[Any]:
    return _answers().where(
        results.c.replay_id.is_(None),
        results.c.pipeline == pipeline,
        results.c.captured_at.between(facts.first, facts.last),
        results.c.source == func.any(cast(list(facts.sources), ARRAY(Text))),
    )


def _answers() -> Select[Any]:
    return select(results).where(results.c.variant == LIVE, results.c.supersedes.is_(None))


def _camera_bytes(old: Subquery, new: Subquery) -> ColumnElement[Any]:
    """Look up what the live worker saw, where neither side is live."""
    frame_id = func.coalesce(new.c.frame_id, old.c.frame_id)
    live = _answers().where(results.c.replay_id.is_(None), results.c.frame_id == frame_id)
    return live.with_only_columns(results.c.sha256).limit(1).scalar_subquery()


def _pairs(old: Subquery, new: Subquery, seen: ColumnElement[Any]) -> Select[Any]:
    archived = [side.c.body["archived"].astext == "true" for side in (old, new)]
    copied = case(
        (seen.is_not(None), or_(old.c.sha256 != seen, new.c.sha256 != seen)),
        else_=or_(*archived, old.c.sha256 != new.c.sha256),
    )
    return select(
        func.coalesce(new.c.frame_id, old.c.frame_id).label("frame_id"),
        func.coalesce(new.c.source, old.c.source).label("source"),
        func.coalesce(_answer(old) == _answer(new), literal(False)).label("identical"),
        func.coalesce(copied, literal(False)).label("copied"),
        *_columns("old", old),
        *_columns("new", new),
    ).select_from(old.join(new, old.c.frame_id == new.c.frame_id, full=True))


def _answer(side: Subquery) -> ColumnElement[Any]:
    answer: ColumnElement[Any] = side.c.body.op("-", return_type=JSONB())(cast(list(_APART), ARRAY(Text)))
    return answer


def _columns(name: str, side: Subquery) -> Iterator[ColumnElement[Any]]:
    for column in _COLUMNS:
        yield side.c[column].label(f"{name}_{column}")
    for column, path in _LISTS.items():
        yield func.jsonb_path_query_array(side.c.body, cast(path, JSONPATH)).label(f"{name}_{column}")


def _side(row: Any, name: str) -> SideRow | None:
    if row[f"{name}_result_id"] is None:
        return None
    return SideRow(*(row[f"{name}_{column}"] for column in (*_COLUMNS, *_LISTS)))
