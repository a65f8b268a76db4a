"""Records to entries, by the kind of topic they lie on."""

import base64
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas import topics
from schemas.alert import ALERT_TYPE, RULE_OFFSETS_LOST, Alert
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.identity import sha256_hex
from schemas.result import RESULT_TYPE
from sinks.deadletter import ReceivedDeadLetter, receive_dead_letter
from sinks.postgres.columns import parse_columns
from sinks.postgres.entries import AlertEntry, DeadLetterEntry, PostgresEntry, ResultEntry
from sinks.protocol import SinkRecord
from sinks.records import require_type, topic_kind


def read_entry(record: SinkRecord) -> PostgresEntry:
    """Parse a record of a results, dead-letter or alert topic.

    Unknown fields and enum values are kept. Raises InputError (`record_invalid`) and VersionUnknownError;
    neither for a dead letter, which is always kept.
    """
    kind = topic_kind(record.topic)
    if kind == topics.RESULTS:
        return read_result(record)
    if kind == topics.DEAD_LETTERS:
        return read_dead_letter(record)
    if kind == topics.ALERTS:
        return read_alert(record)
    raise _invalid("the topic is none of results, dead letters or alerts")


def read_result(record: SinkRecord) -> ResultEntry:
    """Parse a result."""
    require_type(record, RESULT_TYPE, Stage.SINK_POSTGRES)
    value = record.value or b""
    try:
        result = parse_columns(value)
    except ValidationError as error:
        raise _invalid(f"not a result: {_where(error)}") from None
    return ResultEntry(result, value, _place(record))


def read_alert(record: SinkRecord) -> AlertEntry:
    """Parse an alert; one about lost offsets also makes a row of `gaps`, if its facts are complete."""
    require_type(record, ALERT_TYPE, Stage.SINK_POSTGRES)
    value = record.value or b""
    try:
        alert = Alert.model_validate_json(value)
    except ValidationError as error:
        raise _invalid(f"not an alert: {_where(error)}") from None
    if alert.raised_at.tzinfo is None:
        raise _invalid("not an alert: a time without a zone")
    columns = {
        "alert_id": alert.alert_id,
        "rule": alert.rule,
        "severity": alert.severity,
        "source": alert.source,
        "time_window": alert.window,
        "raised_at": alert.raised_at,
        "summary": alert.summary,
        "pipeline": alert.pipeline,
        "facts": None if alert.facts is None else json.dumps(alert.facts),
        "body": value.decode(),
    }
    return AlertEntry(alert.alert_id, columns, _gap(alert), _place(record))


class _Gap(BaseModel):
    model_config = ConfigDict(strict=True)

    group: str
    topic: str
    partition: int = Field(ge=0)
    from_offset: int = Field(ge=0)
    to_offset: int = Field(ge=0)


def _gap(alert: Alert) -> dict[str, Any] | None:
    if alert.rule != RULE_OFFSETS_LOST:
        return None
    try:
        gap = _Gap.model_validate(alert.facts)
    except ValidationError:
        return None  # the alert itself still tells
    return {
        "alert_id": alert.alert_id,
        "consumer_group": gap.group,
        "topic": gap.topic,
        "partition": gap.partition,
        "from_offset": gap.from_offset,
        "to_offset": gap.to_offset,
        "raised_at": alert.raised_at,
    }


def read_dead_letter(record: SinkRecord) -> DeadLetterEntry:
    """Take from a dead letter what columns can hold. Never raises."""
    received = receive_dead_letter(record)
    columns = {
        "dl_id": received.dl_id,
        "pipeline": received.pipeline,
        "stage": received.stage,
        "code": received.code,
        "reason": received.reason,
        "attempt": received.attempt,
        "source": _source(received, record.key),
        "event_id": received.event_id,
        "frame_id": received.frame_id,
        "captured_at": received.captured_at,
        "replay_id": received.replay_id,
        "origin_topic": received.origin_topic,
        "origin_partition": received.origin_partition,
        "origin_offset": received.origin_offset,
        "dl_time": received.time,
        "worker": received.worker,
        "headers": _headers_json(received.original),
        "key": record.key,
        "value_size": None if record.value is None else len(record.value),
        "value_sha256": None if record.value is None else sha256_hex(record.value),
        "object_key": received.object_key(record.value),
        "dataref": received.dataref,
        "headers_lost": received.headers_lost,
        "fields_lost": list(received.fields_lost),
        "dl_topic": record.topic,
        "dl_partition": record.partition,
        "dl_offset": record.offset,
    }
    return DeadLetterEntry(received.dl_id, columns)


def bare_dead_letter(entry: DeadLetterEntry) -> DeadLetterEntry:
    """Keep only what we made ourselves: for a dead letter that the database refuses all the same."""
    kept = ("dl_id", "pipeline", "value_size", "value_sha256", "object_key", "dl_topic", "dl_partition", "dl_offset")
    columns: dict[str, Any] = dict.fromkeys(entry.columns)
    columns.update({name: entry.columns[name] for name in kept})
    columns.update(stage=Stage.SINK_POSTGRES.value, code=Code.ROW_REJECTED.value, headers_lost=True)
    columns["fields_lost"] = sorted(entry.columns.keys() - set(kept))
    return DeadLetterEntry(entry.dl_id, columns)


def _place(record: SinkRecord) -> Origin:
    return Origin(record.topic, record.partition, record.offset)


def _source(received: ReceivedDeadLetter, key: bytes | None) -> str | None:
    """Return the camera. A dead letter of a result has it in its key; its `ce_source` is the pipeline."""
    if topic_kind(received.origin_topic or "") != topics.RESULTS or key is None:
        return received.source
    return key.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _headers_json(headers: Headers) -> str:
    """Write headers so that order, repeats, null against empty and binary values survive.

    jsonb cannot hold NUL, which is legal in a header's name: there alone something else stands for it.
    """
    return json.dumps(
        [
            [name.replace("\x00", "\ufffd"), None if value is None else base64.b64encode(value).decode()]
            for name, value in headers
        ]
    )


def _where(error: ValidationError) -> str:
    """Name the top-level field and the kind of error. Deeper names may quote the input."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{first['loc'][0] if first['loc'] else 'value'}: {first['type']}"


def _invalid(reason: str) -> InputError:
    return InputError(Code.RECORD_INVALID, Stage.SINK_POSTGRES, reason)
