"""Settling what was begun with dead letters and broken off."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from schemas.deadletter import REDRIVEN_HEADER, parse_dead_letter
from schemas.errors import InputError, OutageError
from schemas.headers import last_text
from sightline.runtime.objectstore import ObjectStore
from sinks.postgres.deadletter_actions import Action, Outcome, PendingAction, end_actions, pending_actions
from sinks.postgres.deadletter_resolve import redriven_objects, resolve
from streams.read import TopicRecord
from streams.redrive_read import RecordReader, decode_headers

# No transaction of anybody's stays open longer: Kafka's own limit is 15 minutes.
_DECIDED_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Settled:
    """How a batch that was broken off has ended."""

    action: Action
    outcome: Outcome
    letters: int


def settle_sent(engine: Engine, reader: RecordReader, pipeline: str, now: datetime) -> list[Settled]:
    """Find out which batches of an earlier redrive were sent, and give their dead letters the state that follows.

    The caller holds the pipeline's lock and has fenced whoever sent them. So a record that is not visible at its
    place never will be; one without a noted place was never committed; and all of a batch went together, or none.
    Where retention has taken every place of a batch, nobody can tell: its letters count as redriven, so that
    none is sent twice, and the action's outcome says `uncertain`. Raises OutageError.
    """
    batches: dict[str, list[PendingAction]] = defaultdict(list)
    for pending in pending_actions(engine, pipeline):
        if pending.action is not Action.PURGE:
            batches[pending.batch_id].append(pending)
    settled = []
    for batch_id, batch in batches.items():
        outcome = _outcome(batch, reader, now)
        end_actions(engine, batch_id, outcome)
        settled.append(Settled(batch[0].action, outcome, len(batch)))
    return settled


def resolve_stored_objects(engine: Engine, store: ObjectStore, pipeline: str) -> int:
    """Resolve what the object sink refused, was redriven, and is in the store by now; return how many."""
    stored = [row["dl_id"] for row in redriven_objects(engine, pipeline) if _is_stored(row, store)]
    resolve(engine, stored)
    return len(stored)


def _outcome(batch: Sequence[PendingAction], reader: RecordReader, now: datetime) -> Outcome:
    if all(pending.place is None for pending in batch):
        return Outcome.UNDONE
    for pending in batch:
        if pending.place is None:
            continue
        try:
            if reader.first_offset(pending.place) > pending.place.offset:
                continue
            record = reader.read(pending.place, decided=True)
        except OutageError:
            if now - pending.acted_at < _DECIDED_AFTER:
                raise
            continue
        return Outcome.DONE if record is not None and _is_sent(record, pending) else Outcome.UNDONE
    return Outcome.UNCERTAIN


def _is_sent(record: TopicRecord, pending: PendingAction) -> bool:
    headers = record.headers or []
    if pending.action is Action.REDRIVE:
        return last_text(headers, REDRIVEN_HEADER) == pending.dl_id
    try:
        return parse_dead_letter(headers).dl_id == pending.dl_id
    except InputError:
        return True  # parked as it was, damaged block and all


def _is_stored(row: Mapping[str, Any], store: ObjectStore) -> bool:
    key = last_text(decode_headers(row["headers"]), "ce_id")
    try:
        return bool(key) and store.stat(key or "") is not None
    except InputError:
        return False
