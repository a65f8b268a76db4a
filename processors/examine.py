"""From a frame's bytes to what is known before any model runs: format, quality, and the models' input."""

from collections.abc import Mapping
from dataclasses import dataclass

from processors.cached import look_up
from processors.decode.pictures import Pixels, decode_stored, turn_upright
from processors.gate import Decision, decide
from processors.infer.interface import Prepared
from processors.infer.lineup import Chosen, Lineup
from processors.infer.model import LoadedModel
from processors.inspect import Inspected, inspect_picture
from processors.keep import keep_picture
from processors.measures import Measures, measure
from processors.metadata import read_metadata
from processors.outcome import Artifact, Context
from processors.quality import Evidence, judge
from processors.stopwatch import Stopwatch
from processors.thresholds import resolve_thresholds
from schemas.frame import Frame
from schemas.modelcard import Task, Thresholds
from schemas.result import Quality, Result


@dataclass(frozen=True, slots=True)
class Examined:
    """A frame before its models. `prepared` has one input for each model that sees the picture, by its digest.

    `chosen` are the models that answer, `shadowing` those that answer beside them, each by thresholds of its own.
    `asked` is None without models, `shadow_asked` without a shadow.
    """

    frame: Frame
    picture: Inspected
    artifacts: tuple[Artifact, ...]
    chosen: Chosen
    shadowing: Chosen | None
    asked: Thresholds | None
    shadow_asked: Thresholds | None
    evidence: Evidence
    quality: Quality
    decision: Decision
    prepared: Mapping[str, Prepared]
    watch: Stopwatch


@dataclass(frozen=True, slots=True)
class Known:
    """A frame whose answer lies in the cache: `result` is that of an earlier frame of the same bytes."""

    frame: Frame
    picture: Inspected
    artifacts: tuple[Artifact, ...]
    chosen: Chosen
    result: Result
    watch: Stopwatch


def examine(frame: Frame, lineup: Lineup, context: Context) -> Examined | Known:
    """Inspect, decode, measure, judge, and prepare the input of the models that the frame falls to.

    Blocks, also for the pixel budget. Raises InputError.
    """
    rules, watch = context.pipeline.quality, Stopwatch(context.timer)
    chosen = lineup.choose(frame.frame_id, frame.source)
    asked = _thresholds(frame, chosen, context)
    picture = inspect_picture(frame, context.pipeline.input)
    metadata = read_metadata(picture.tags) if frame.metadata is None else frame.metadata
    watch.lap("inspect")
    artifacts = keep_picture(frame, picture, context.pipeline)
    watch.lap("strip")
    shadowing = lineup.shadowing(chosen)
    shadow_asked = _thresholds(frame, shadowing or {}, context)
    known = None if shadowing else look_up(picture.sha256, chosen, asked, context)
    if known is not None:
        watch.lap("cache")
        return Known(frame, picture, artifacts, chosen, known, watch)
    measures, prepared = _look(picture, _seeing(chosen, shadowing), context, watch)
    evidence = Evidence(measures, metadata, picture.stored_wh, picture.upright_wh)
    quality = judge(evidence, rules)
    decision = decide(context.pipeline.gate, quality, rules.pass_score)
    watch.lap("judge")
    return Examined(
        frame, picture, artifacts, chosen, shadowing, asked, shadow_asked, evidence, quality, decision, prepared, watch
    )  # fmt: skip


def _thresholds(frame: Frame, chosen: Chosen, context: Context) -> Thresholds | None:
    first = next(iter(chosen.values()), None)
    if first is None:
        return None
    return resolve_thresholds(frame.settings, context.pipeline.inference, first.card.thresholds)


def _seeing(chosen: Chosen, shadowing: Chosen | None) -> list[LoadedModel]:
    """Return the models that see the picture, each once."""
    models = [*chosen.values(), *(shadowing or {}).values()]
    return list({model.digest: model for model in models if model.card.task is not Task.LANDMARKS}.values())


def _look(
    picture: Inspected, models: list[LoadedModel], context: Context, watch: Stopwatch
) -> tuple[Measures, dict[str, Prepared]]:
    """Do all that needs the pixels. One picture a thread: threads share the budget best when none holds more."""
    with context.pixels.hold(picture.pixels):
        watch.lap("wait")
        pixels = decode_stored(picture)
        watch.lap("decode")
        measures = measure(pixels)  # gives the same upright: turning 2.7 megapixels first takes 3.9 ms
        watch.lap("quality")
        prepared = _prepare(turn_upright(pixels, picture.orientation), models) if models else {}
        watch.lap("prepare")
    return measures, prepared


def _prepare(upright: Pixels, models: list[LoadedModel]) -> dict[str, Prepared]:
    return {model.digest: model.head.prepare(upright) for model in models}
