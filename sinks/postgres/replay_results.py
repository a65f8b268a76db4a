"""What a replay says beside what holds for the same frames at present."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, text

from sightline.runtime.database import transaction

_ROWS: Final = 500
_PAGE: Final = text(
    "SELECT r.result_id, r.body AS replayed, c.body AS current"
    " FROM results r LEFT JOIN current_results c"
    " ON c.frame_id = r.frame_id AND c.captured_at = r.captured_at AND c.pipeline = r.pipeline"
    " WHERE r.replay_id = :replay_id AND r.supersedes IS NULL AND r.variant = 'live' AND r.result_id > :after"
    " ORDER BY r.result_id LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class ReplayedPair:
    """One frame's result in a replay, and its current one: None where it has none. Both are JSON values."""

    replayed: dict[str, Any]
    current: dict[str, Any] | None


def replayed_pairs(engine: Engine, replay_id: str) -> Iterator[ReplayedPair]:
    """Yield every result of a replay, by id; blocks page by page. Raises OutageError or SetupError."""
    after = ""
    while True:
        page = {"replay_id": replay_id, "after": after, "limit": _ROWS}
        with transaction(engine) as connection:
            rows = connection.execute(_PAGE, page).all()
        for row in rows:
            yield ReplayedPair(row.replayed, row.current)
        if len(rows) < _ROWS:
            return
        after = rows[-1].result_id
