"""How commands load models: by the settings for device, threads and memory."""

from collections.abc import Sequence
from pathlib import Path

from processors.infer.loading import open_model
from processors.infer.model import LoadedModel
from processors.infer.onnxengine import CUDA
from processors.infer.runtime import load_runtime
from schemas.modelcard import ModelCard, Task
from schemas.pipeline import ModelRules, PipelineDefinition
from sightline.cli.models_loaded import engine_options
from sightline.models.pinned import PinnedModels, parse_pins
from sightline.models.source import Load
from sightline.runtime.log import get_logger
from sightline.runtime.settings import Settings

_log = get_logger(__name__)
_WITHOUT_MODELS = 16
_WITH_MODELS_ON_CPU = 8


def max_frames(definition: PipelineDefinition, settings: Settings) -> int:
    """Return how many frames make a batch: what the pipeline says, or what suits its work."""
    small = bool(definition.models) and not _may_use_gpu(settings)
    return definition.batch.max_frames or (_WITH_MODELS_ON_CPU if small else _WITHOUT_MODELS)


def _may_use_gpu(settings: Settings) -> bool:
    device = settings.worker.device
    return device not in {"auto", "cpu"} or (device == "auto" and CUDA in load_runtime().get_available_providers())


def pinned_models(
    definition: PipelineDefinition, wanted: Sequence[str], settings: Settings, size: int | None = None
) -> PinnedModels:
    """Load the models that `--model` names; blocks. `size` is another side of the picture's input.

    Raises ConfigurationError where a role has no model or one too many, ModelError for a model that does not fit.
    """
    return PinnedModels(definition.models, parse_pins(wanted, definition.models), loader(definition, settings, size))


def loader(definition: PipelineDefinition, settings: Settings, size: int | None = None) -> Load:
    """Return what loads a model for one of the pipeline's roles, and logs where it runs."""
    options = engine_options(settings)

    def load(card: ModelCard, weights: Path, rules: ModelRules) -> LoadedModel:
        if size is not None and card.task is not Task.LANDMARKS:
            card = card.model_copy(update={"input_wh": (size, size)})
        model = open_model(card, weights, rules, options, max_batch=definition.inference.max_batch)
        _log.info(
            "model loaded", pipeline=definition.name, model=card.name, version=card.version, digest=model.digest,
            provider=model.engine.provider, max_batch=model.max_batch,
        )  # fmt: skip
        return model

    return load
