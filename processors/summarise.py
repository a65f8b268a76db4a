"""Last stage: the result message of a frame."""

from dataclasses import dataclass
from typing import Any

from processors.digest import settings_digest
from processors.gate import Decision
from processors.inspect import Inspected
from processors.outcome import Artifact, Context, Success
from processors.pipelines.summary import Summary
from schemas.frame import Frame
from schemas.identity import result_id
from schemas.result import ArtifactReference, Image, OriginReference, Quality, Result

VARIANT = "live"


@dataclass(frozen=True, slots=True)
class Findings:
    """What the earlier stages found of one frame. `summary` is None where the gate stopped it."""

    picture: Inspected
    quality: Quality
    decision: Decision
    summary: Summary | None
    artifacts: tuple[Artifact, ...]


def build_result(frame: Frame, findings: Findings, timings_ms: dict[str, float], context: Context) -> Success:
    """Put a frame's result together. Everything but the times is the same on every run."""
    picture, pipeline = findings.picture, context.pipeline
    width, height = picture.upright_wh
    result = Result(
        result_id=result_id(frame.frame_id, pipeline.name, None, VARIANT),
        frame_id=frame.frame_id,
        event_id=frame.event_id,
        pipeline=pipeline.name,
        kind="skipped" if findings.decision is Decision.REJECT else "frame",
        variant=VARIANT,
        source=frame.source,
        captured_at=frame.captured_at,
        processed_at=context.now(),
        verdict=None if findings.summary is None else findings.summary.verdict,
        score=findings.quality.score,
        image=Image(
            width=width,
            height=height,
            media_type=picture.media_type.value,
            size_bytes=len(picture.data),
            sha256=picture.sha256,
        ),
        quality=findings.quality,
        summary=_facts(findings),
        settings_digest=settings_digest(pipeline),
        origin=OriginReference(topic=frame.origin.topic, partition=frame.origin.partition, offset=frame.origin.offset),
        timings_ms=timings_ms,
        artifacts=[_reference(artifact) for artifact in findings.artifacts] or None,
    )
    return Success(frame, result, findings.artifacts)


def _facts(findings: Findings) -> dict[str, Any] | None:
    """Return the summary; a frame that the gate only flags says so in it."""
    if findings.summary is None:
        return None
    flagged = {"gate": findings.decision.value} if findings.decision is Decision.FLAG else {}
    return {**findings.summary.facts, **flagged}


def _reference(artifact: Artifact) -> ArtifactReference:
    return ArtifactReference(
        kind=artifact.kind,
        key=artifact.key,
        sha256=artifact.sha256,
        media_type=artifact.media_type,
        size_bytes=len(artifact.data),
    )
