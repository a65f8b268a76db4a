"""What becomes of a redrive that was broken off: decided by what readers of committed records can see."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from schemas.errors import OutageError, SetupError
from schemas.frame import Origin
from schemas.headers import Headers
from sinks.postgres.deadletter_actions import Action, Outcome, PendingAction
from streams import redrive_settle
from streams.read import TopicRecord
from streams.redrive_read import RecordReader
from streams.redrive_settle import settle_sent

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOPIC = "frames.civic"


class _Reader:
    """A topic of one partition: what is visible, what retention left, and where a transaction is open."""

    def __init__(
        self, visible: dict[int, Headers], first: int = 0, open_at: int | None = None, *, there: bool = True
    ) -> None:
        self._visible = visible
        self._first = first
        self._open_at = open_at
        self._there = there

    def first_offset(self, _: Origin) -> int:
        if not self._there:
            raise SetupError("kafka", "there is no such topic")
        return self._first

    def read(self, place: Origin, *, decided: bool) -> TopicRecord | None:
        assert decided
        if self._open_at is not None and place.offset >= self._open_at:
            raise OutageError("kafka", "not decided")
        headers = self._visible.get(place.offset)
        return None if headers is None else TopicRecord(TOPIC, 0, place.offset, 0, None, b"", headers)


def _pending(number: int, offset: int | None, action: Action = Action.REDRIVE, age_s: float = 0) -> PendingAction:
    place = None if offset is None else Origin(TOPIC, 0, offset)
    return PendingAction(f"d{number}", action, "batch", NOW - timedelta(seconds=age_s), place)


def _sent(number: int) -> Headers:
    return [("sightline_attempt", b"2"), ("sightline_dl_id", f"d{number}".encode())]


def _settle(monkeypatch: pytest.MonkeyPatch, pending: list[PendingAction], reader: _Reader) -> dict[str, Outcome]:
    ended: dict[str, Outcome] = {}

    def end(_: Any, batch_id: str, outcome: Outcome) -> None:
        ended[batch_id] = outcome

    monkeypatch.setattr(redrive_settle, "pending_actions", lambda *_: pending)
    monkeypatch.setattr(redrive_settle, "end_actions", end)
    settle_sent(cast("Engine", None), cast("RecordReader", reader), "civic", NOW)
    return ended


@pytest.mark.parametrize(
    ("pending", "reader", "outcome"),
    [
        ([_pending(1, None), _pending(2, None)], _Reader({}), Outcome.UNDONE),
        ([_pending(1, 5), _pending(2, 6)], _Reader({5: _sent(1), 6: _sent(2)}), Outcome.DONE),
        ([_pending(1, 5), _pending(2, 6)], _Reader({}), Outcome.UNDONE),
        ([_pending(1, 5)], _Reader({5: [("ce_id", b"another")]}), Outcome.UNDONE),
        ([_pending(1, 5)], _Reader({5: _sent(2)}), Outcome.UNDONE),
        ([_pending(1, 5), _pending(2, 6)], _Reader({6: _sent(2)}, first=6), Outcome.DONE),
        ([_pending(1, 5), _pending(2, 6)], _Reader({}, first=7), Outcome.UNCERTAIN),
        ([_pending(1, 5, age_s=7200)], _Reader({}, open_at=0), Outcome.UNCERTAIN),
        ([_pending(1, 5, age_s=7200)], _Reader({}, there=False), Outcome.UNCERTAIN),
        ([_pending(1, 5, Action.PARK)], _Reader({5: [("dl_id", b"d1")]}), Outcome.DONE),
        ([_pending(1, 5, Action.PARK)], _Reader({}), Outcome.UNDONE),
    ],
    ids=[
        "never sent", "committed", "aborted", "another record", "another letter", "half gone", "all gone",
        "never decided", "topic deleted", "parked", "not parked",
    ],
)  # fmt: skip
def test_the_outcome(
    pending: list[PendingAction], reader: _Reader, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _settle(monkeypatch, pending, reader) == {"batch": outcome}


def test_while_another_transaction_is_open_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutageError):
        _settle(monkeypatch, [_pending(1, 5)], _Reader({5: _sent(1)}, open_at=3))


def test_a_purge_is_not_settled_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _settle(monkeypatch, [_pending(1, None, Action.PURGE)], _Reader({})) == {}
