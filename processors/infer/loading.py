"""From a model's folder to a model that has answered a trial picture."""

from pathlib import Path
from typing import Final

from processors.infer.engine import EngineOptions, open_engine
from processors.infer.folder import check_files, check_listed, read_card
from processors.infer.heads import make_head
from processors.infer.interface import Engine, EngineError
from processors.infer.memory import default_batch, estimate_bytes, fit_batch
from processors.infer.model import LoadedModel
from processors.infer.onnxengine import CPU
from processors.infer.trial import Trial
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import ModelCard, model_digest
from schemas.pipeline import ModelRules

VERSIONS: Final = 2  # the one in force and its successor, which are loaded together during a switch
_ESTIMATE_IS_OFF: Final = 4  # times


def load_model(
    folder: Path,
    rules: ModelRules | None,
    options: EngineOptions,
    *,
    max_batch: int | None = None,
    versions: int = VERSIONS,
) -> LoadedModel:
    """Verify, open and try the model of a folder; blocks for reading all files and for two runs.

    `rules` are the role's, None: any task and classes. `max_batch` is how many pictures one run may take, None: by
    input size and device; memory may lower it. `versions` is how many such models are loaded at the same time.
    Raises ModelError with the code of what is wrong; nothing stays open then. Raises ConfigurationError where ONNX
    Runtime is not installed.
    """
    card = read_card(folder)
    if rules is not None:
        check_rules(card, rules)  # before reading what may be hundreds of megabytes
    check_files(folder, card)
    return open_model(card, folder / card.weights, rules, options, max_batch=max_batch, versions=versions)


def open_model(
    card: ModelCard,
    weights: Path,
    rules: ModelRules | None,
    options: EngineOptions,
    *,
    max_batch: int | None = None,
    versions: int = VERSIONS,
) -> LoadedModel:
    """As `load_model`, for a card and weights that are known to belong together, wherever they lie.

    The card's other files lie beside the weights.
    """
    if rules is not None:
        check_rules(card, rules)
    check_listed(card, weights)
    weights_bytes = _size_bytes(card, weights)
    _check_room(card, estimate_bytes(card, weights_bytes, 0, versions), options)
    engine = open_engine(weights, options, card.files[card.weights])
    try:
        return _try_model(card, engine, weights_bytes, options, max_batch, versions)
    except BaseException:
        engine.close()
        raise


def _size_bytes(card: ModelCard, weights: Path) -> int:
    others = (weights.parent / name for name in card.files if name != card.weights)
    try:
        return sum(path.stat().st_size for path in (weights, *others))
    except OSError as error:
        raise ModelError(ModelCode.MISSING, str(weights), "a file of the model cannot be read") from error


def check_rules(card: ModelCard, rules: ModelRules) -> None:
    """Compare a card with what a role asks for.

    A class that the rules do not know is refused as well as one that is missing: the pipeline's arithmetic would meet
    it in a result. Raises ModelError: `model_task_wrong`, `model_classes_unmappable`, and `model_shape_wrong` for
    another number of keypoints.
    """
    if card.task is not rules.task:
        raise ModelError(ModelCode.TASK_WRONG, card.name, f"expected {rules.task.value}, got {card.task.value}")
    if rules.classes is not None and set(card.class_names) != set(rules.classes):
        missing = sorted(set(rules.classes) - set(card.class_names))
        unknown = sorted(set(card.class_names) - set(rules.classes))
        problem = f"classes missing: {missing}; classes that the pipeline does not know: {unknown}; see class_map"
        raise ModelError(ModelCode.CLASSES_UNMAPPABLE, card.name, problem)
    points = _points(card)
    if rules.keypoints is not None and points != rules.keypoints:
        raise ModelError(ModelCode.SHAPE_WRONG, card.name, f"expected {rules.keypoints} keypoints, got {points:g}")


def _points(card: ModelCard) -> float:
    """Return how many keypoints a model gives, or takes: a landmarks model has two numbers of each."""
    return card.keypoints.count if card.keypoints is not None else card.input_wh[0] / 2


def _try_model(
    card: ModelCard, engine: Engine, weights_bytes: int, options: EngineOptions, max_batch: int | None, versions: int
) -> LoadedModel:
    head = make_head(card)
    trial = Trial(card, engine, head)
    batch = trial.check_specs() or max_batch or default_batch(card, engine.provider)
    one = estimate_bytes(card, weights_bytes, 1, versions)
    if engine.provider == CPU:  # a GPU has memory of its own
        _check_room(card, one, options)
        batch = fit_batch(card, weights_bytes, batch, versions, options.memory_limit_bytes)
    try:
        picture, batch = trial.run(batch)
    except EngineError as error:
        raise _failed_alone(card, one, options) from error
    return LoadedModel(card, model_digest(card), engine, head, batch, picture)


def _failed_alone(card: ModelCard, needed_bytes: int, options: EngineOptions) -> ModelError:
    """Blame memory where it is short: the engine does not tell, and an estimate may be several times too low."""
    limit = options.memory_limit_bytes
    if limit is not None and _ESTIMATE_IS_OFF * needed_bytes > limit:
        return ModelError(ModelCode.MEMORY_EXCEEDED, card.name, f"one picture does not fit into {limit} bytes")
    return ModelError(ModelCode.UNSUPPORTED, card.name, "the engine fails on a trial picture")


def _check_room(card: ModelCard, needed_bytes: int, options: EngineOptions) -> None:
    limit = options.memory_limit_bytes
    if limit is not None and needed_bytes > limit:
        problem = f"one picture needs about {needed_bytes} bytes, the limit is {limit}"
        raise ModelError(ModelCode.MEMORY_EXCEEDED, card.name, problem)
