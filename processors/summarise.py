"""Last stage: the result message of a frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from processors.analyse import Analysis
from processors.gate import Decision
from processors.infer.lineup import Chosen
from processors.inspect import Inspected
from processors.outcome import Artifact, Context
from processors.pipelines.summary import Summary
from schemas.frame import Frame
from schemas.identity import result_id
from schemas.modelcard import Thresholds
from schemas.result import ArtifactReference, Image, ModelReference, OriginReference, Quality, Result

Variant = Literal["live", "shadow"]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the earlier stages found of one frame. `summary` is None where the gate stopped it."""

    picture: Inspected
    quality: Quality
    decision: Decision
    summary: Summary | None
    analysis: Analysis | None
    chosen: Chosen
    asked: Thresholds | None
    variant: Variant


def build_result(frame: Frame, findings: Findings, context: Context) -> Result:
    """Put a frame's result together, without times and artifacts: the same on every run but for `processed_at`."""
    picture, pipeline, summary = findings.picture, context.pipeline, findings.summary
    answer = None if findings.analysis is None else findings.analysis.answer
    width, height = picture.upright_wh
    return Result(
        result_id=result_id(frame.frame_id, pipeline.name, None, findings.variant),
        frame_id=frame.frame_id,
        event_id=frame.event_id,
        pipeline=pipeline.name,
        kind="skipped" if findings.decision is Decision.REJECT else "frame",
        variant=findings.variant,
        source=frame.source,
        captured_at=frame.captured_at,
        processed_at=context.now(),
        verdict=None if summary is None else summary.verdict,
        score=findings.quality.score if summary is None or summary.score is None else summary.score,
        image=Image(
            width=width,
            height=height,
            media_type=picture.media_type.value,
            size_bytes=len(picture.data),
            sha256=picture.sha256,
        ),
        quality=findings.quality,
        detections=None if answer is None or answer.detections is None else list(answer.detections),
        classification=None if answer is None else answer.classification,
        summary=_facts(findings),
        models=_took_part(findings),
        settings_digest=context.settings.of(findings.asked),
        origin=_origin(frame),
    )


def result_again(frame: Frame, earlier: Result, context: Context) -> Result:
    """Return the result of an earlier frame of the same bytes under the ids of this one."""
    return earlier.model_copy(
        update={
            "result_id": result_id(frame.frame_id, earlier.pipeline, None, "live"),
            "frame_id": frame.frame_id,
            "event_id": frame.event_id,
            "source": frame.source,
            "captured_at": frame.captured_at,
            "processed_at": context.now(),
            "origin": _origin(frame),
            "cached_from": earlier.result_id,
        }
    )


def with_artifacts(result: Result, artifacts: Sequence[Artifact], timings_ms: Mapping[str, float]) -> Result:
    """Return the result with the pictures that are kept and the times that it took."""
    kept = [_reference(artifact) for artifact in artifacts] or None
    return result.model_copy(update={"artifacts": kept, "timings_ms": dict(timings_ms)})


def _origin(frame: Frame) -> OriginReference:
    return OriginReference(topic=frame.origin.topic, partition=frame.origin.partition, offset=frame.origin.offset)


def _took_part(findings: Findings) -> list[ModelReference] | None:
    """Name the models; none has seen a frame that the gate stopped."""
    if findings.decision is Decision.REJECT:
        return None
    return [model.reference(role) for role, model in findings.chosen.items()] or None


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
