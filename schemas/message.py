"""A message to publish, independent of any client library, and the headers that ours carry."""

from dataclasses import dataclass, field
from datetime import datetime

from schemas import topics
from schemas.activation import ACTIVATION_SCHEMA, ACTIVATION_TYPE, Activation
from schemas.alert import ALERT_SCHEMA, ALERT_TYPE, Alert
from schemas.encoding import format_time
from schemas.frame import SPEC_VERSION
from schemas.headers import Headers
from schemas.result import RESULT_SCHEMA, RESULT_TYPE, Result

ARTIFACT_TYPE = "sightline.artifact.v1"
EMR_TYPE = "sightline.emr.v1"


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka record to be."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)


def result_message(result: Result, traceparent: str | None = None) -> Message:
    """Wrap a result for its pipeline's topic, keyed by source.

    What a replay says stays apart from the live results until it is promoted, which `supersedes` shows.
    """
    headers = _event_headers(
        RESULT_TYPE, result.result_id, f"/sightline/pipelines/{result.pipeline}", result.processed_at
    )
    headers += [("content-type", b"application/json"), ("ce_dataschema", RESULT_SCHEMA.encode())]
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    apart = result.replay_id is not None and result.supersedes is None
    topic = (topics.results_replay if apart else topics.results)(result.pipeline)
    return Message(topic, result.source.encode(), result.to_json(), headers)


def alert_message(alert: Alert) -> Message:
    """Wrap an alert, keyed by rule and source."""
    headers = _event_headers(ALERT_TYPE, alert.alert_id, f"/sightline/rules/{alert.rule}", alert.raised_at)
    headers += [("content-type", b"application/json"), ("ce_dataschema", ALERT_SCHEMA.encode())]
    return Message(topics.ALERTS, f"{alert.rule}|{alert.source}".encode(), alert.to_json(), headers)


def activation_message(activation: Activation) -> Message:
    """Wrap an activation for its role's topic; the key never changes, so that compaction keeps the newest."""
    source = f"/sightline/pipelines/{activation.pipeline}/models/{activation.role}"
    headers = _event_headers(ACTIVATION_TYPE, activation.activation_id, source, activation.activated_at)
    headers += [("content-type", b"application/json"), ("ce_dataschema", ACTIVATION_SCHEMA.encode())]
    topic = topics.activations(activation.pipeline, activation.role)
    return Message(topic, activation.role.encode(), activation.to_json(), headers)


def emr_message(result: Result, value: bytes, traceparent: str | None = None) -> Message:
    """Wrap the EMR form of a result for its topic, keyed by source; its id is the result's."""
    headers = _event_headers(EMR_TYPE, result.result_id, f"/sightline/pipelines/{result.pipeline}", result.processed_at)
    headers.append(("content-type", b"application/json"))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return Message(topics.emr(result.pipeline), result.source.encode(), value, headers)


def artifact_message(
    pipeline: str, key: str, value: bytes | None, media_type: str, created_at: datetime, dataref: str | None = None
) -> Message:
    """Wrap a picture to keep, keyed by its object key; with `dataref` the object is in the store already."""
    headers = _event_headers(ARTIFACT_TYPE, key, f"/sightline/pipelines/{pipeline}", created_at)
    headers.append(("content-type", media_type.encode()))
    if dataref is not None:
        headers.append(("ce_dataref", dataref.encode()))
    return Message(topics.artifacts(pipeline), key.encode(), value, headers)


def _event_headers(event_type: str, event_id: str, source: str, time: datetime) -> Headers:
    return [
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_type", event_type.encode()),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_time", format_time(time).encode()),
    ]
