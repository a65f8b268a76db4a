"""Answers for any number of prepared pictures, in runs of a size that works."""

from collections.abc import Sequence

from processors.infer.interface import Answer, EngineError, Prepared
from processors.infer.model import LoadedModel
from schemas.errors import BrokenError, Code, InputError, Stage
from schemas.modelcard import Thresholds

Said = Answer | InputError


def infer(model: LoadedModel, prepared: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Said]:
    """Return one answer a picture, in order; a picture that fails alone gets an InputError of stage `infer`.

    Pictures of one shape share runs. A run that fails is halved and tried again, so neither the answer nor the
    failure of a picture depends on its neighbours. Blocks; several threads may call it for one model.
    Raises BrokenError when the engine fails on what it once answered: then no picture is at fault.
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for place, picture in enumerate(prepared):
        places.setdefault(picture.tensor.shape, []).append(place)
    answers: dict[int, Said] = {}
    for same in places.values():
        said = _in_runs(model, [prepared[place] for place in same], [asked[place] for place in same])
        answers.update(zip(same, said, strict=True))
    return [answers[place] for place in range(len(prepared))]


def _in_runs(model: LoadedModel, prepared: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Said]:
    answers: list[Said] = []
    while len(answers) < len(prepared):
        run = slice(len(answers), len(answers) + model.size.now)
        answers += _one_run(model, prepared[run], asked[run])
    return answers


def _one_run(model: LoadedModel, prepared: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Said]:
    try:
        answers = model.head.read(model.engine.run(model.head.stack(prepared)), prepared, asked)
    except (EngineError, InputError, MemoryError) as error:
        # Without the traceback, which would keep the tensors of this run alive during the smaller ones.
        failure = error.with_traceback(None)
    else:
        model.size.worked(len(prepared))
        return list(answers)
    if len(prepared) == 1:
        return [_alone(model, prepared, asked, failure)]
    return _halved(model, prepared, asked)


def _halved(model: LoadedModel, prepared: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Said]:
    middle = (len(prepared) + 1) // 2
    parts = slice(middle), slice(middle, None)
    answers = [answer for part in parts for answer in _in_runs(model, prepared[part], asked[part])]
    if all(isinstance(answer, Answer) for answer in answers):  # else it was a picture, and not the size
        model.size.too_large(len(prepared))
    return answers


def _alone(model: LoadedModel, prepared: Sequence[Prepared], asked: Sequence[Thresholds], failure: Exception) -> Said:
    """Say of one picture what is wrong with it; or its answer, where the engine had only been short of something."""
    if isinstance(failure, InputError):
        return failure
    if model.trial is not None:
        try:
            model.engine.run(model.head.stack([model.trial]))
        except (EngineError, MemoryError) as error:
            raise BrokenError("model", f"{model.card.name}: the engine fails on its trial picture") from error
    try:
        return model.head.read(model.engine.run(model.head.stack(prepared)), prepared, asked)[0]
    except InputError as error:
        return error.with_traceback(None)
    except (EngineError, MemoryError):
        return InputError(Code.INFERENCE_FAILED, Stage.INFER, "the model fails on this picture, also alone")
