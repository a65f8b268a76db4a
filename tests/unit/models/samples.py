"""Tiny models for tests: real ONNX files that an engine opens, and loaded ones without an engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from processors.infer.interface import Tensor, TensorSpec
from processors.infer.model import LoadedModel
from schemas.activation import Activation, ModelAddress
from schemas.encoding import from_timestamp_ms
from schemas.modelcard import ModelCard, Task, model_digest

ULTRALYTICS = {
    "author": "Ultralytics",
    "description": "Ultralytics model trained on shapes.yaml",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)",
    "version": "8.4.190",
    "stride": "32",
    "task": "detect",
    "batch": "1",
    "imgsz": "[320, 640]",
    "names": "{0: 'banana', 1: 'leaf'}",
    "args": "{'batch': 1, 'quantize': None, 'nms': None, 'dynamic': True}",
    "end2end": "False",
}


def write_onnx(
    path: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: int = TensorProto.FLOAT,
    outputs: Sequence[int | str] = ("batch", 6, "anchors"),
    seed: int = 0,
    external: str | None = None,
) -> Path:
    """Write an ONNX of one picture input and one output, whose weights depend on `seed`."""
    weight = np.random.default_rng(seed).random((3,)).astype(helper.tensor_dtype_to_np_dtype(dtype))
    images = helper.make_tensor_value_info("images", dtype, ["batch", 3, "height", "width"])
    answer = helper.make_tensor_value_info("output0", dtype, list(outputs))
    shape = np.array([side if isinstance(side, int) else -1 for side in outputs], np.int64)
    initializers = [
        numpy_helper.from_array(weight.reshape(1, 3, 1, 1), "scale"), numpy_helper.from_array(shape, "shape")
    ]  # fmt: skip
    nodes = [
        helper.make_node("Mul", ["images", "scale"], ["scaled"]),
        # The engine does not look through this, and so believes the output's shape.
        helper.make_node("Neg", ["shape"], ["negative"]),
        helper.make_node("Neg", ["negative"], ["sides"]),
        helper.make_node("Reshape", ["scaled", "sides"], ["output0"]),
    ]
    graph = helper.make_graph(nodes, "tiny", [images], [answer], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    if external is None:
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=external, size_threshold=0)
    return path


def make_card(name: str = "shapes", version: str = "1", **changes: Any) -> ModelCard:
    fields: dict[str, Any] = {
        "name": name,
        "version": version,
        "task": Task.DETECT,
        "files": {"model.onnx": "0" * 64},
        "classes": ("banana",),
        "input_wh": (64, 64),
        "licence": "none",
    }
    return ModelCard.model_validate(fields | changes)


def address(name: str = "shapes", version: str = "1", digit: str = "a") -> ModelAddress:
    return ModelAddress(name=name, version=version, digest=digit * 64)


def activation(live: ModelAddress, **changes: Any) -> Activation:
    fields: dict[str, Any] = {
        "activation_id": "id",
        "pipeline": "shapes",
        "role": "detector",
        "live": live,
        "activated_at": from_timestamp_ms(0),
        "activated_by": "tester@here",
    }
    return Activation.model_validate(fields | changes)


class FakeEngine:
    """An engine that has nothing to run; a weak reference to it tells when its memory would be free."""

    provider = "CPUExecutionProvider"
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def run(self, batch: Tensor) -> list[Tensor]:
        return [batch]

    def close(self) -> None:
        """There is nothing to give back."""


class FakeHead:
    """A head that nobody asks."""

    def prepare(self, bgr: Any) -> Any:
        raise NotImplementedError

    def stack(self, batch: Any) -> Any:
        raise NotImplementedError

    def read(self, outputs: Any, batch: Any, asked: Any) -> Any:
        raise NotImplementedError


def loaded(card: ModelCard) -> LoadedModel:
    return LoadedModel(card, model_digest(card), FakeEngine(), FakeHead(), max_batch=8)
