"""Small ONNX models for tests, good ones and broken ones, and their folders with a card.

What they say follows from the picture in a way that a test can compute: `mean` below is the mean of a picture's input
numbers, which for a grey picture of level g and the card's plain preprocessing is g / 255.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from schemas.identity import sha256_hex
from schemas.modelcard import CARD_FILE

OPSET = 17
IR_VERSION = 9
FLOAT = TensorProto.FLOAT
HALF = TensorProto.FLOAT16
DOUBLE = TensorProto.DOUBLE
DARK = 0.1  # pictures with a lower mean are those that some models fail on
Box = tuple[float, float, float, float]  # centre x, centre y, width, height, in pixels of the input
Axis = int | str

SIZE = 64
BOXES: tuple[Box, ...] = ((16, 16, 20, 20), (44, 40, 24, 16))


def detector(
    boxes: Sequence[Box] = BOXES, classes: int = 2, size: Axis = SIZE, *, batch: Axis = "n", dtype: int = FLOAT
) -> ModelProto:
    """Find each of `boxes`, as class (index % classes), with the picture's mean as its confidence."""
    rows = np.zeros((1, 4 + classes, len(boxes)), np.float32)
    for index, box in enumerate(boxes):
        rows[0, :4, index] = box
        rows[0, 4 + index % classes, index] = 1
    places = np.zeros_like(rows)
    places[:, :4] = rows[:, :4]
    return _model(
        [
            *_mean(),
            helper.make_node("Reshape", ["mean", "column"], ["means"]),
            helper.make_node("Mul", ["means", "scores"], ["weighed"]),
            helper.make_node("Add", ["weighed", "places"], ["found"]),
            _cast("found", "y", dtype),
        ],
        {"scores": rows - places, "places": places, "column": np.array([-1, 1, 1])},
        [batch, 3, size, size],
        ["n", 4 + classes, len(boxes)],
        dtype,
    )


def classifier(classes: int = 2, size: Axis = SIZE, *, activation: str = "Softmax", batch: Axis = "n") -> ModelProto:
    """Give class i the logit i * mean."""
    return _model(
        [
            *_mean(),
            helper.make_node("Mul", ["mean", "weights"], ["logits"]),
            helper.make_node(activation, ["logits"], ["y"]),
        ],
        {"weights": np.arange(classes, dtype=np.float32)[None]},
        [batch, 3, size, size],
        ["n", classes],
    )


def landmarks_classifier(numbers: int = 42, classes: int = 3) -> ModelProto:
    """Take rows of numbers instead of pictures."""
    weights = np.linspace(-1, 1, numbers * classes, dtype=np.float32).reshape(numbers, classes)
    return _model(
        [helper.make_node("MatMul", ["x", "weights"], ["logits"]), helper.make_node("Softmax", ["logits"], ["y"])],
        {"weights": weights},
        ["n", numbers],
        ["n", classes],
    )


def nan_where_dark(size: int = SIZE) -> ModelProto:
    """Give numbers that are not finite for pictures below DARK, and for no other of the batch."""
    return _two_classes(
        [
            helper.make_node("Sub", ["mean", "dark"], ["above"]),
            helper.make_node("Sqrt", ["above"], ["root"]),
            helper.make_node("Mul", ["root", "weights"], ["logits"]),
        ],
        size,
    )


def failing_where_dark(size: int = SIZE) -> ModelProto:
    """Break in an operator, and with it the whole batch, where one picture is below DARK."""
    return _two_classes(
        [
            helper.make_node("Less", ["mean", "dark"], ["is_dark"]),
            helper.make_node("Cast", ["is_dark"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["one", "index"], ["ones"]),  # index 1 does not exist
            helper.make_node("Mul", ["mean", "ones"], ["bright"]),
            helper.make_node("Mul", ["bright", "weights"], ["logits"]),
        ],
        size,
    )


def failing_above(most: int, size: int = SIZE) -> ModelProto:
    """Break where a batch has more than `most` pictures."""
    return _two_classes(
        [
            helper.make_node("Shape", ["x"], ["pictures"], start=0, end=1),
            helper.make_node("Gather", ["allowed", "pictures"], ["ones"]),
            helper.make_node("Mul", ["mean", "ones"], ["same"]),
            helper.make_node("Mul", ["same", "weights"], ["logits"]),
        ],
        size,
        {"allowed": np.ones(most + 1, np.float32)},
    )


def always_nan(size: int = SIZE) -> ModelProto:
    return _two_classes(
        [
            helper.make_node("Sub", ["dark", "dark"], ["zero"]),
            helper.make_node("Div", ["zero", "zero"], ["nan"]),
            helper.make_node("Mul", ["mean", "nan"], ["lost"]),
            helper.make_node("Mul", ["lost", "weights"], ["logits"]),
        ],
        size,
    )


def mixing(size: int = SIZE) -> ModelProto:
    """Subtract the mean of the whole batch, so that an answer depends on its neighbours."""
    return _two_classes(
        [
            helper.make_node("ReduceMean", ["mean"], ["all"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["mean", "all"], ["above"]),
            helper.make_node("Mul", ["above", "weights"], ["logits"]),
        ],
        size,
    )


def one_row(size: int = SIZE) -> ModelProto:
    """Give the same single row for any number of pictures."""
    return _two_classes(
        [
            helper.make_node("ReduceMean", ["mean"], ["all"], axes=[0], keepdims=1),
            helper.make_node("Mul", ["all", "weights"], ["logits"]),
        ],
        size,
    )


def heavy(channels: int, size: int = SIZE) -> ModelProto:
    """Hold `channels` maps of float32 at the input's size while it runs; the file stays small."""
    return _two_classes(
        [
            helper.make_node("Conv", ["x", "kernel"], ["maps"]),
            helper.make_node("Sigmoid", ["maps"], ["squashed"]),
            helper.make_node("ReduceMean", ["squashed"], ["level"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Reshape", ["level", "column"], ["levels"]),
            helper.make_node("Mul", ["levels", "weights"], ["logits"]),
        ],
        size,
        {"kernel": np.full((channels, 3, 1, 1), 0.1, np.float32), "column": np.array([-1, 1])},
    )


def unknown_opset() -> ModelProto:
    model = classifier()
    model.opset_import[0].version = 999
    return model


def unknown_operator() -> ModelProto:
    model = classifier()
    model.graph.node[-1].op_type = "Nonsense"
    return model


def unknown_domain() -> ModelProto:
    model = classifier()
    model.graph.node[-1].domain = "nobody.knows"
    model.opset_import.append(helper.make_opsetid("nobody.knows", 1))
    return model


def external(location: str = "weights.bin") -> tuple[ModelProto, bytes]:
    """Return a classifier whose weights lie in another file, and that file's bytes."""
    model = classifier(classes=2)
    tensor = next(one for one in model.graph.initializer if one.name == "weights")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(len(data))}.items():
        tensor.external_data.add(key=key, value=value)
    return model, data


def inside_a_branch(model: ModelProto) -> ModelProto:
    """Return a model that holds the other's graph as a branch of a condition."""
    node = helper.make_node("If", ["condition"], ["y"], then_branch=model.graph, else_branch=model.graph)
    condition = helper.make_tensor_value_info("condition", TensorProto.BOOL, [1])
    graph = helper.make_graph([node], "outer", [condition], [helper.make_tensor_value_info("y", FLOAT, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def save_model(folder: Path, model: ModelProto | bytes, files: Mapping[str, bytes] | None = None, **card: Any) -> Path:
    """Write weights, further files and a card into `folder`; `card` goes over what a detector's card says."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = model if isinstance(model, bytes) else model.SerializeToString()
    contents = {"model.onnx": weights, **(files or {})}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / CARD_FILE).write_text(yaml.safe_dump(card_fields(contents) | card))
    return folder


def card_fields(contents: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the fields of a card for a model that `detector()` made."""
    return {
        "name": "tested",
        "version": "1",
        "task": "detect",
        "files": {name: sha256_hex(data) for name, data in contents.items()},
        "classes": ["first", "second"],
        "input_wh": [SIZE, SIZE],
        "licence": "Apache-2.0",
    }


def _two_classes(
    nodes: Sequence[NodeProto], size: int, constants: Mapping[str, NDArray[np.generic]] | None = None
) -> ModelProto:
    """Make a classifier of nodes that lead from `x` and `mean` to `logits`."""
    return _model(
        [*_mean(), *nodes, helper.make_node("Softmax", ["logits"], ["y"])],
        {
            "weights": np.arange(2, dtype=np.float32)[None],
            "dark": np.array([[DARK]], np.float32),
            "one": np.ones(1, np.float32),
            **(constants or {}),
        },
        ["n", 3, size, size],
        ["n", 2],
    )


def _mean() -> list[NodeProto]:
    """Return nodes from `x` to `mean`, [pictures, 1]."""
    return [
        helper.make_node("Cast", ["x"], ["single"], to=FLOAT),
        helper.make_node("ReduceMean", ["single"], ["flat"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["flat", "last_axis"], ["mean"]),
    ]


def _cast(source: str, target: str, dtype: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=dtype)


def _model(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, NDArray[np.generic]],
    input_shape: Sequence[Axis],
    output_shape: Sequence[Axis],
    dtype: int = FLOAT,
) -> ModelProto:
    used = {name for node in nodes for name in node.input}
    tensors = {name: value for name, value in {"last_axis": np.array([1]), **constants}.items() if name in used}
    graph = helper.make_graph(
        nodes,
        "tested",
        [helper.make_tensor_value_info("x", dtype, input_shape)],
        [helper.make_tensor_value_info("y", dtype, output_shape)],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model
