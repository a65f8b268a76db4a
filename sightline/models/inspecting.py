"""Looking into an ONNX file: what it says of itself, without running it."""

from importlib import import_module
from pathlib import Path
from typing import Any

from processors.infer.runtime import load_runtime
from schemas.errors import ModelCode, ModelError
from sightline.models.metadata import card_fields, speaks_for_itself

_NUMPY_NAMES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


def describe(weights: Path) -> dict[str, Any]:
    """Return the fields of a card that an ultralytics ONNX fills by itself.

    Blocks for the time of opening it. Raises ModelError: `model_card_missing` for any other ONNX, which needs a card,
    `model_unreadable` where the file cannot be opened, and as `card_fields`.
    """
    session = _open(weights)
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    if not speaks_for_itself(metadata):
        problem = "the weights do not say what they are; write a card, and give it with --card"
        raise ModelError(ModelCode.CARD_MISSING, str(weights), problem)
    shape = tuple(side if isinstance(side, int) else None for side in session.get_outputs()[0].shape)
    return card_fields(metadata, _NUMPY_NAMES.get(session.get_inputs()[0].type, ""), shape, str(weights))


def _open(weights: Path) -> Any:
    """Make a session that optimises nothing: it is only asked for names and shapes."""
    runtime = load_runtime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    unreadable = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile)
    try:
        return runtime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    except unreadable as error:
        raise ModelError(ModelCode.UNREADABLE, str(weights), f"cannot be opened: {type(error).__name__}") from None
    except (state.NotImplemented, state.RuntimeException) as error:
        raise ModelError(ModelCode.UNSUPPORTED, str(weights), f"cannot be opened: {type(error).__name__}") from None
