"""TensorRT engines: made here, on the machine that will run them, so that no worker has to wait for one."""

from pathlib import Path

from processors.infer.engine import EngineOptions, open_engine
from processors.infer.memory import default_batch
from processors.infer.runtime import load_runtime
from processors.infer.tensorrt import TENSORRT, build_engine, engine_file
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import ModelCard
from sightline.models.local import LocalModel
from sightline.runtime.settings import Settings

_FOLDER = "tensorrt"


def engine_cache(settings: Settings) -> Path:
    """Return the folder of built engines: beside the models that are kept on this machine."""
    return settings.models.cache_folder() / _FOLDER


def build(model: LocalModel, cache: Path) -> Path:
    """Compile a model for this machine's GPU and TensorRT, unless that is done; returns the engine's file.

    Blocks for minutes. Raises ModelError: `model_device_unavailable` without a GPU or TensorRT, `model_unsupported`
    where TensorRT refuses the weights.
    """
    where = str(model.weights)
    target = engine_file(cache, model.card.files[model.card.weights])
    if target is None or TENSORRT not in load_runtime().get_available_providers():
        problem = "TensorRT engines are built on a machine with an NVIDIA GPU, TensorRT 10 and sightline[gpu]"
        raise ModelError(ModelCode.DEVICE_UNAVAILABLE, where, problem)
    if target.is_file():
        return target
    name = _input_name(model.weights)
    try:
        build_engine(model.weights, target, *({name: shape} for shape in shapes(model.card)))
    except Exception as error:
        raise ModelError(ModelCode.UNSUPPORTED, where, f"TensorRT refuses it: {type(error).__name__}") from error
    return target


def shapes(card: ModelCard) -> tuple[str, str, str]:
    """Return the smallest, the usual and the largest input, as TensorRT's options write shapes."""
    width, height = card.input_wh
    least_wh = (card.stride, card.stride) if card.rect else card.input_wh
    largest = default_batch(card, TENSORRT)
    return tuple(
        f"{batch}x3x{high}x{wide}"
        for batch, (wide, high) in ((1, least_wh), (largest, (width, height)), (largest, (width, height)))
    )  # type: ignore[return-value]  # three of them


def _input_name(weights: Path) -> str:
    engine = open_engine(weights, EngineOptions(device="cpu"))
    name = engine.inputs[0].name
    engine.close()
    return name
