"""A result as rows, in COPY's text format. Column orders stand beside the rows that they order."""

import hashlib

from schemas.result import ArtifactReference, Check, Detection, Result
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


def result_row(result: Result, body: bytes) -> str:
    """Return the line for `results`."""
    return f"{_identity(result)}\t{_result_columns(result)}\t{text(body.decode())}\n"


def check_rows(result: Result) -> str:
    """Return the lines for `quality_checks`; empty when there are none."""
    if result.quality is None:
        return ""
    identity = _identity(result)
    return "".join(_check_row(identity, position, check) for position, check in enumerate(result.quality.checks))


def detection_rows(result: Result) -> str:
    """Return the lines for `detections`; empty when there are none."""
    identity = _identity(result)
    return "".join(_detection_row(identity, position, found) for position, found in enumerate(result.detections or ()))


def artifact_rows(result: Result) -> str:
    """Return the lines for `artifacts`; empty when there are none."""
    identity = _identity(result)
    return "".join(_artifact_row(identity, position, kept) for position, kept in enumerate(result.artifacts or ()))


def event_key(source: str, event_id: str | None) -> str | None:
    """Hash source and event id to a UUID (in hexadecimal): both may be longer than an index entry can be."""
    if event_id is None:
        return None
    length = len(source.encode("utf-8", "surrogatepass")).to_bytes(8, "big")
    digest = hashlib.blake2b(length + f"{source}{event_id}".encode("utf-8", "surrogatepass"), digest_size=16)
    return digest.hexdigest()


def _identity(result: Result) -> str:
    return f"{text(result.result_id)}\t{moment(result.captured_at)}"


def _result_columns(result: Result) -> str:
    key = event_key(result.source, result.event_id)
    latency = (result.processed_at - result.captured_at).total_seconds() * 1000
    columns = [
        text(result.frame_id),
        text(result.event_id),
        key or NULL,
        text(result.pipeline),
        text(result.kind),
        text(result.variant),
        text(result.source),
        moment(result.processed_at),
        text(result.replay_id),
        text(result.supersedes),
        text(result.verdict),
        number(result.score),
        NULL if result.quality is None else text(result.quality.level),
    ]
    classification, image, origin = result.classification, result.image, result.origin
    columns += (
        (NULL, NULL) if classification is None else (text(classification.label), number(classification.probability))
    )
    columns += (
        (NULL,) * 5
        if image is None
        else (
            number(image.width),
            number(image.height),
            text(image.media_type),
            number(image.size_bytes),
            text(image.sha256),
        )
    )
    columns.append(number(len(result.detections or ())))
    model = result.models[0] if result.models else None
    columns += (NULL,) * 3 if model is None else (text(model.name), text(model.version), text(model.digest))
    columns.append(text(result.settings_digest))
    columns += (NULL,) * 3 if origin is None else (text(origin.topic), number(origin.partition), number(origin.offset))
    columns += (text(result.cached_from), number(latency), number(_processing_ms(result.timings_ms)))
    return "\t".join(columns)


def _processing_ms(timings_ms: dict[str, float] | None) -> float | None:
    """Return the time spent: `total` where it is given, else the sum of the steps."""
    if not timings_ms:
        return None
    return timings_ms["total"] if "total" in timings_ms else sum(timings_ms.values())


def _check_row(identity: str, position: int, check: Check) -> str:
    return (
        f"{identity}\t{position}\t{text(check.name)}\t{check.passed}\t{check.value!r}\t{check.score!r}"
        f"\t{number(check.weight)}\t{text(check.reason)}\t{text(check.recommendation)}\n"
    )


def _detection_row(identity: str, position: int, found: Detection) -> str:
    box = "\t".join(map(repr, found.bbox))
    return (
        f"{identity}\t{position}\t{text(found.class_name)}\t{found.class_id}\t{found.confidence!r}"
        f"\t{box}\t{number(found.track_id)}\n"
    )


def _artifact_row(identity: str, position: int, kept: ArtifactReference) -> str:
    return (
        f"{identity}\t{position}\t{text(kept.kind)}\t{text(kept.key)}\t{text(kept.sha256)}"
        f"\t{text(kept.media_type)}\t{kept.size_bytes}\n"
    )
