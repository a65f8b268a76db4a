"""Records as the broker would hand them to a sink."""

from datetime import UTC, datetime
from typing import Any

from schemas import identity, topics
from schemas.alert import RULE_OFFSETS_LOST, make_alert
from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.message import Message, alert_message, artifact_message, result_message
from schemas.result import (
    ArtifactReference,
    Check,
    Classification,
    Detection,
    Image,
    ModelReference,
    OriginReference,
    Quality,
    Result,
)
from sinks.protocol import SinkRecord

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SOURCE = "/farms/7/cameras/north"
CHECKS = ("blur", "resolution", "brightness", "exposure", "metadata")


def make_result(number: int = 0, **changes: Any) -> Result:
    """A full result; other numbers give other frames of the same camera. `picture` stands for the frame's bytes."""
    source = changes.pop("source", SOURCE)
    event_id = changes.pop("event_id", f"event-{number}")
    captured_at = changes.pop("captured_at", NOW)
    pipeline = changes.pop("pipeline", "civic")
    sha256 = identity.sha256_hex(changes.pop("picture", str(number)).encode())
    frame = identity.frame_id(source, event_id, captured_at, sha256)
    replay_id, variant = changes.get("replay_id"), changes.get("variant", "live")
    fields: dict[str, Any] = {
        "result_id": identity.result_id(frame, pipeline, replay_id, variant),
        "frame_id": frame,
        "event_id": event_id,
        "pipeline": pipeline,
        "source": source,
        "captured_at": captured_at,
        "processed_at": NOW,
        "verdict": "accepted",
        "score": 81.2,
        "image": Image(width=1920, height=1080, media_type="image/jpeg", size_bytes=412_345, sha256=sha256),
        "quality": Quality(
            score=81.2,
            level="good",
            checks=[
                Check(name=name, passed=name != "blur", value=1.5, score=90, reason=f"{name}\\n") for name in CHECKS
            ],
        ),
        "detections": [Detection(class_name="banana", class_id=1, confidence=0.9, bbox=[1, 2, 3, 4])],
        "classification": Classification(label="real", probability=0.75),
        "models": [ModelReference(role="detect", name="yolo", version="3", digest="d1")],
        "origin": OriginReference(topic="frames.civic", partition=2, offset=number),
        "timings_ms": {"decode": 2.5, "quality": 4.0},
        "artifacts": [ArtifactReference(kind="picture", key="a/b", sha256="00", media_type="image/png", size_bytes=5)],
    }
    return Result(**{**fields, **changes})


def record(message: Message, offset: int = 0) -> SinkRecord:
    return SinkRecord(message.topic, 0, offset, 1_700_000_000_000, message.key, message.value, message.headers)


def result_record(result: Result, *, replace: tuple[bytes, bytes] | None = None) -> SinkRecord:
    """A result as a record; `replace` changes bytes of its JSON, which must be there."""
    made = record(result_message(result))
    if replace is None:
        return made
    assert made.value is not None
    assert replace[0] in made.value
    return with_value(made, made.value.replace(*replace))


def with_value(made: SinkRecord, value: bytes | None) -> SinkRecord:
    return SinkRecord(made.topic, made.partition, made.offset, made.timestamp_ms, made.key, value, made.headers)


def dead_letter_record(
    offset: int = 0,
    *,
    stage: Stage = Stage.DECODE,
    code: Code = Code.PICTURE_CORRUPT,
    frame_id: str | None = None,
    value: bytes | None = b"broken",
    topic: str = "frames.civic",
    headers: list[tuple[str, bytes | None]] | None = None,
) -> SinkRecord:
    original = [
        ("ce_source", SOURCE.encode()),
        ("ce_id", b"e1"),
        ("ce_time", b"2026-11-21T11:00:00Z"),
        *(headers or []),
    ]
    failed = Failed(SOURCE.encode(), value, original, Origin(topic, 1, offset), 1_700_000_000_000)
    error = InputError(code, stage, "the picture is damaged")
    return record(dead_letter_message("civic", failed, error, now=NOW, worker="w1", frame_id=frame_id), offset)


def gap_record(**facts: Any) -> SinkRecord:
    given = {"group": "g", "topic": "frames.civic", "partition": 3, "from_offset": 10, "to_offset": 25, **facts}
    alert = make_alert(
        rule=RULE_OFFSETS_LOST, source="frames.civic", window="3:10", raised_at=NOW, summary="lost", facts=given
    )
    return record(alert_message(alert))


def artifact_record(key: str, value: bytes | None, dataref: str | None = None) -> SinkRecord:
    return record(artifact_message("civic", key, value, "image/png", NOW, dataref))


def picture_key(value: bytes) -> str:
    sha256 = identity.sha256_hex(value)
    return f"pictures/{sha256[:2]}/{sha256}.png"


def with_headers(made: SinkRecord, headers: list[tuple[str, bytes | None]] | None) -> SinkRecord:
    return SinkRecord(made.topic, made.partition, made.offset, made.timestamp_ms, made.key, made.value, headers)


def with_type(made: SinkRecord, ce_type: bytes) -> SinkRecord:
    return with_headers(made, [(name, ce_type if name == "ce_type" else value) for name, value in made.headers or []])


RESULTS_TOPIC = topics.results("civic")
