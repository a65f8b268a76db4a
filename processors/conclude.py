"""From what the models say to the outcome: arithmetic, overlay, result."""

from dataclasses import dataclass

from processors.analyse import Analysed, Analysis
from processors.cached import remember
from processors.examine import Examined, Known
from processors.gate import Decision
from processors.infer.lineup import Chosen
from processors.outcome import Artifact, Context, Shadow, Success
from processors.overlay import overlay_of
from processors.pipelines.summary import Material, Summary
from processors.summarise import Findings, Variant, build_result, result_again, with_artifacts
from schemas.errors import Code, InputError, Stage
from schemas.modelcard import Thresholds
from schemas.result import Result


@dataclass(frozen=True, slots=True)
class _Side:
    """Whose answer a result is."""

    variant: Variant
    chosen: Chosen
    asked: Thresholds | None


def conclude(
    one: Examined, live: tuple[Analysed, float] | None, shadow: tuple[Analysed, float] | None, context: Context
) -> Success:
    """Put the outcome of one frame together; `live` is None where no model ran. Raises InputError.

    Blocks, also for the pixel budget where an overlay is drawn.
    """
    analysed, share_s = live or (None, 0.0)
    if isinstance(analysed, InputError):
        raise analysed
    if analysed is not None:
        one.watch.resume("infer", share_s)
    result = _result(one, _Side("live", one.chosen, one.asked), analysed, context)
    one.watch.lap("summarise")
    remember(one.picture.sha256, one.chosen, one.asked, result, context)
    artifacts = one.artifacts + _overlay(one, result, context)
    return Success(
        one.frame,
        with_artifacts(result, artifacts, one.watch.laps_ms),
        artifacts,
        None if shadow is None else _shadow(one, shadow[0], context),
    )


def conclude_known(one: Known, context: Context) -> Success:
    """Answer a frame with what was found for the same bytes before, under its own ids."""
    result = result_again(one.frame, one.result, context)
    artifacts = one.artifacts + _overlay(one, result, context)
    return Success(one.frame, with_artifacts(result, artifacts, one.watch.laps_ms), artifacts)


def _shadow(one: Examined, analysed: Analysed, context: Context) -> Shadow:
    if isinstance(analysed, InputError):
        return Shadow(None, analysed)
    try:
        return Shadow(_result(one, _Side("shadow", one.shadowing or {}, one.shadow_asked), analysed, context))
    except Exception as error:  # noqa: BLE001 -- a shadow is on trial, and nothing of it may stop the stream
        reason = f"the shadow's answer cannot be summed up: {type(error).__name__}"
        return Shadow(None, InputError(Code.PROCESSING_FAILED, Stage.SUMMARISE, reason))


def _result(one: Examined, side: _Side, analysis: Analysis | None, context: Context) -> Result:
    summary = None if one.decision is Decision.REJECT else _summarise(one, analysis, context)
    findings = Findings(
        one.picture, one.quality, one.decision, summary, analysis, side.chosen, side.asked, side.variant
    )  # fmt: skip
    return build_result(one.frame, findings, context)


def _summarise(one: Examined, analysis: Analysis | None, context: Context) -> Summary:
    material = Material(
        evidence=one.evidence,
        quality=one.quality,
        rules=context.pipeline.quality,
        answer=None if analysis is None else analysis.answer,
        landmarks=None if analysis is None else analysis.landmarks,
    )
    return context.summarise(material)


def _overlay(one: Examined | Known, result: Result, context: Context) -> tuple[Artifact, ...]:
    asked = one.frame.settings.overlay
    wanted = context.pipeline.overlay if asked is None else asked
    if not wanted or not one.chosen or result.kind == "skipped":
        return ()
    artifact = overlay_of(one.picture, result, one.chosen, context)
    one.watch.lap("draw")
    return (artifact,)
