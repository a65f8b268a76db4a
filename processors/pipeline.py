"""The data path: what happens to a frame, in order."""

from collections.abc import Callable, Sequence

from processors.analyse import Analysed, Subject, analyse, seeing
from processors.conclude import conclude, conclude_known
from processors.examine import Examined, Known, examine
from processors.gate import Decision
from processors.infer.lineup import Chosen, Lineup
from processors.outcome import Context, Failure, Outcome
from schemas.errors import Code, InputError, Stage
from schemas.frame import Frame
from schemas.modelcard import Thresholds

Seen = Examined | Known | Failure


def process(batch: Sequence[Frame], context: Context) -> list[Outcome]:
    """Process frames whose `value` is filled in: one outcome each, in the order of `batch`.

    Blocks, also for the pixel budget and for the models; may run in several threads at once. A frame that can never
    succeed becomes a Failure and touches no other. Any other error passes through: the caller then tries frames
    one by one.
    """
    lineup = context.lineup()
    seen = [_examine(frame, lineup, context) for frame in batch]
    live = _infer(seen, _live, context)
    shadow = _infer_beside(seen, context)
    return [_conclude(one, live.get(place), shadow.get(place), context) for place, one in enumerate(seen)]


def _examine(frame: Frame, lineup: Lineup, context: Context) -> Seen:
    try:
        return examine(frame, lineup, context)
    except InputError as error:
        return Failure(frame, error.with_traceback(None))  # a traceback would keep pixels alive


def _live(one: Examined) -> Subject | None:
    return _subject(one, one.chosen, one.asked)


def _shadow(one: Examined) -> Subject | None:
    return _subject(one, one.shadowing or {}, one.shadow_asked)


def _subject(one: Examined, chosen: Chosen, asked: Thresholds | None) -> Subject | None:
    if asked is None or one.decision is Decision.REJECT:
        return None
    return Subject(chosen, one.prepared[seeing(chosen).digest], asked)


def _infer_beside(seen: Sequence[Seen], context: Context) -> dict[int, tuple[Analysed, float]]:
    """Run the shadow models: whatever happens to them, also an engine that is broken, the live answers go out."""
    try:
        return _infer(seen, _shadow, context)
    except Exception as error:  # noqa: BLE001 -- a shadow is on trial, and nothing of it may stop the stream
        failed = InputError(Code.INFERENCE_FAILED, Stage.INFER, f"the shadow fails: {type(error).__name__}")
        return {place: (failed, 0.0) for place, one in enumerate(seen) if isinstance(one, Examined) and _shadow(one)}


def _infer(
    seen: Sequence[Seen], choose: Callable[[Examined], Subject | None], context: Context
) -> dict[int, tuple[Analysed, float]]:
    """Run the models on what the gate lets through; by place in the batch, with each frame's share of the time."""
    chosen = {place: choose(one) for place, one in enumerate(seen) if isinstance(one, Examined)}
    subjects = {place: subject for place, subject in chosen.items() if subject is not None}
    began = context.timer()
    analysed = analyse(list(subjects.values()))
    share_s = (context.timer() - began) / max(len(subjects), 1)
    return {place: (one, share_s) for place, one in zip(subjects, analysed, strict=True)}


def _conclude(
    one: Seen, live: tuple[Analysed, float] | None, shadow: tuple[Analysed, float] | None, context: Context
) -> Outcome:
    try:
        if isinstance(one, Failure):
            return one
        return conclude_known(one, context) if isinstance(one, Known) else conclude(one, live, shadow, context)
    except InputError as error:
        return Failure(one.frame, error.with_traceback(None))
