"""What the reader makes of records: checked, and ready to become rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.frame import Origin
from sinks.postgres.columns import ResultColumns


@dataclass(frozen=True, slots=True)
class ResultEntry:
    """A result: what becomes columns, and the JSON that it was read from, fields unknown to us included."""

    result: ResultColumns
    body: bytes
    place: Origin | None = None  # where the record lies

    @property
    def key(self) -> tuple[str, datetime]:
        """Return the primary key of its row."""
        return self.result["result_id"], self.result["captured_at"]

    @property
    def settles(self) -> bool:
        """Tell whether it answers its frame: a live result, or one that was promoted."""
        result = self.result
        original = result.get("replay_id") is None or result.get("supersedes") is not None
        return result.get("variant", "live") == "live" and original


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """A dead letter: its columns by name."""

    dl_id: str
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AlertEntry:
    """An alert, and the gap that it reports if it is about lost offsets: columns by name."""

    alert_id: str
    columns: dict[str, Any]
    gap: dict[str, Any] | None
    place: Origin | None = None  # where the record lies


PostgresEntry = ResultEntry | DeadLetterEntry | AlertEntry
