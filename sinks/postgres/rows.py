"""A result as rows, in COPY's text format. Column orders stand beside the rows that they order."""

import hashlib

from sinks.postgres.columns import ArtifactColumns, CheckColumns, DetectionColumns, ResultColumns
from sinks.postgres.copytext import NULL, moment, number, text

RESULT_COLUMNS = (
    "result_id", "captured_at", "frame_id", "event_id", "event_key", "pipeline", "kind", "variant", "source",
    "processed_at", "replay_id", "supersedes", "verdict", "score", "level", "label", "probability", "width", "height",
    "media_type", "size_bytes", "sha256", "detection_count", "model_name", "model_version", "model_digest",
    "settings_digest", "origin_topic", "origin_partition", "origin_offset", "cached_from", "latency_ms",
    "processing_ms", "body",
)  # fmt: skip
CHECK_COLUMNS = (
    "result_id", "captured_at", "position", "name", "passed", "value", "score", "weight", "reason", "recommendation",
)  # fmt: skip
DETECTION_COLUMNS = (
    "result_id", "captured_at", "position", "class_name", "class_id", "confidence", "x1", "y1", "x2", "y2", "track_id",
)  # fmt: skip
ARTIFACT_COLUMNS = ("result_id", "captured_at", "position", "kind", "key", "sha256", "media_type", "size_bytes")


def result_row(result: ResultColumns, body: bytes) -> str:
    """Return the line for `results`."""
    return f"{_identity(result)}\t{_result_columns(result)}\t{text(body.decode())}\n"


def check_rows(result: ResultColumns) -> str:
    """Return the lines for `quality_checks`; empty when there are none."""
    quality = result.get("quality")
    if quality is None:
        return ""
    identity = _identity(result)
    return "".join([_check_row(identity, position, check) for position, check in enumerate(quality["checks"])])


def detection_rows(result: ResultColumns) -> str:
    """Return the lines for `detections`; empty when there are none."""
    if not (detections := result.get("detections")):
        return ""
    identity = _identity(result)
    return "".join([_detection_row(identity, position, found) for position, found in enumerate(detections)])


def artifact_rows(result: ResultColumns) -> str:
    """Return the lines for `artifacts`; empty when there are none."""
    if not (artifacts := result.get("artifacts")):
        return ""
    identity = _identity(result)
    return "".join([_artifact_row(identity, position, kept) for position, kept in enumerate(artifacts)])


def event_key(result: ResultColumns) -> str | None:
    """Hash source and event id to a UUID (in hexadecimal): both may be longer than an index entry can be."""
    source, event_id = result["source"], result.get("event_id")
    if event_id is None:
        return None
    length = len(source.encode("utf-8", "surrogatepass")).to_bytes(8, "big")
    digest = hashlib.blake2b(length + f"{source}{event_id}".encode("utf-8", "surrogatepass"), digest_size=16)
    return digest.hexdigest()


def _identity(result: ResultColumns) -> str:
    return f"{text(result['result_id'])}\t{moment(result['captured_at'])}"


def _result_columns(result: ResultColumns) -> str:
    classification, image, origin = result.get("classification"), result.get("image"), result.get("origin")
    quality, models = result.get("quality"), result.get("models")
    latency = (result["processed_at"] - result["captured_at"]).total_seconds() * 1000
    columns = [
        text(result["frame_id"]),
        text(result.get("event_id")),
        event_key(result) or NULL,
        text(result["pipeline"]),
        text(result.get("kind", "frame")),
        text(result.get("variant", "live")),
        text(result["source"]),
        moment(result["processed_at"]),
        text(result.get("replay_id")),
        text(result.get("supersedes")),
        text(result.get("verdict")),
        number(result.get("score")),
        NULL if quality is None else text(quality["level"]),
    ]
    if classification is None:
        columns += (NULL, NULL)
    else:
        columns += (text(classification["label"]), repr(classification["probability"]))
    if image is None:
        columns += (NULL,) * 5
    else:
        columns += (repr(image["width"]), repr(image["height"]), text(image["media_type"]))
        columns += (repr(image["size_bytes"]), text(image["sha256"]))
    columns.append(repr(len(result.get("detections") or ())))
    if not models:
        columns += (NULL,) * 3
    else:
        columns += (text(models[0]["name"]), text(models[0]["version"]), text(models[0]["digest"]))
    columns.append(text(result.get("settings_digest")))
    if origin is None:
        columns += (NULL,) * 3
    else:
        columns += (text(origin["topic"]), repr(origin["partition"]), repr(origin["offset"]))
    columns += (text(result.get("cached_from")), repr(latency), number(_processing_ms(result.get("timings_ms"))))
    return "\t".join(columns)


def _processing_ms(timings_ms: dict[str, float] | None) -> float | None:
    """Return the time spent: `total` where it is given, else the sum of the steps."""
    if not timings_ms:
        return None
    return timings_ms["total"] if "total" in timings_ms else sum(timings_ms.values())


def _check_row(identity: str, position: int, check: CheckColumns) -> str:
    return (
        f"{identity}\t{position}\t{text(check['name'])}\t{check['passed']}\t{check['value']!r}\t{check['score']!r}"
        f"\t{number(check.get('weight'))}\t{text(check['reason'])}\t{text(check.get('recommendation'))}\n"
    )


def _detection_row(identity: str, position: int, found: DetectionColumns) -> str:
    box = "\t".join(map(repr, found["bbox"]))
    return (
        f"{identity}\t{position}\t{text(found['class'])}\t{found['class_id']}\t{found['confidence']!r}"
        f"\t{box}\t{number(found.get('track_id'))}\n"
    )


def _artifact_row(identity: str, position: int, kept: ArtifactColumns) -> str:
    return (
        f"{identity}\t{position}\t{text(kept['kind'])}\t{text(kept['key'])}\t{text(kept['sha256'])}"
        f"\t{text(kept['media_type'])}\t{kept['size_bytes']}\n"
    )
