"""Models that say what a test expects of them, the same of every picture, and ways to put them in force in a world.

A box here is of the input (64 pixels a side); `SEEN` is where it lies in a picture of `tests.pictures.jpeg`'s size.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from processors.infer.engine import EngineOptions
from processors.infer.loading import load_model
from processors.infer.model import LoadedModel
from processors.pipelines import load_builtin
from schemas.activation import Activation, Canary, ModelAddress
from schemas.pipeline import ModelRules
from sightline.models.local import read_model
from sightline.models.store import open_model_store
from sightline.runtime.settings import Settings, load_settings
from streams.activations import publish_activation
from tests.models import IR_VERSION, OPSET, SIZE, Box, landmarks_classifier, save_model
from tests.world import World

Floats = NDArray[np.float32]

LEFT: Box = (16, 32, 20, 20)
RIGHT: Box = (44, 32, 24, 16)
# A picture of 96 x 72 becomes 64 x 48, with 8 rows of padding above it.
SEEN: Mapping[Box, list[float]] = {LEFT: [9.0, 21.0, 39.0, 51.0], RIGHT: [48.0, 24.0, 84.0, 48.0]}
RIPENESS = ("Not Mature", "Mature", "Ripe", "Over Ripe")
LANDMARKS = 21
_STRIDE = 4  # of a mask's prototypes


def steady(*outputs: Floats, weight: Floats | None = None, size: int = SIZE) -> ModelProto:
    """Give `outputs` (first axis: 1) for each picture, plus `weight` times the picture's mean to the first of them."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2, 3], keepdims=0)]
    tensors: dict[str, NDArray[Any]] = {}
    for place, output in enumerate(outputs):
        column, scale, given = f"column{place}", f"scale{place}", f"given{place}"
        tensors[column] = np.array([-1] + [1] * (output.ndim - 1), np.int64)
        tensors[scale] = np.zeros_like(output) if weight is None or place else weight
        tensors[given] = output
        nodes += [
            helper.make_node("Reshape", ["mean", column], [f"means{place}"]),
            helper.make_node("Mul", [f"means{place}", scale], [f"weighed{place}"]),
            helper.make_node("Add", [f"weighed{place}", given], [f"y{place}"]),
        ]
    graph = helper.make_graph(
        nodes,
        "steady",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, size, size])],
        [
            helper.make_tensor_value_info(f"y{place}", TensorProto.FLOAT, ["n", *output.shape[1:]])
            for place, output in enumerate(outputs)
        ],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def rows(box: Box, classes: int = 1, confidence: float = 0.9, extras: Sequence[float] = ()) -> Floats:
    """Return the rows of one anchor, [1, 4 + classes + extras, 1], whose object is of the first class."""
    scores = [confidence] + [0.0] * (classes - 1)
    return np.array([*box, *scores, *extras], np.float32).reshape(1, -1, 1)


def finds(box: Box, classes: int = 1, confidence: float = 0.9) -> ModelProto:
    """Detect one object in each picture: at `box`, of the first class."""
    return steady(rows(box, classes, confidence))


def outlines(box: Box, classes: int) -> ModelProto:
    """Segment one object in each picture; its mask fills its box."""
    prototypes = np.ones((1, 1, SIZE // _STRIDE, SIZE // _STRIDE), np.float32)
    return steady(rows(box, classes, extras=[1.0]), prototypes)


def hand_points(box: Box) -> list[tuple[float, float]]:
    """Return the landmarks of a hand in `box`: the wrist below, the others in rising rows of five."""
    x, y, width, height = box
    others = [(x + width * (column - 2) / 6, y + height * (0.3 - 0.2 * row)) for row in range(4) for column in range(5)]
    return [(x, y + height * 0.45), *others]


def poses(box: Box, count: int = LANDMARKS) -> ModelProto:
    """Find one object with the first `count` points of a hand in each picture."""
    return steady(rows(box, extras=[number for x, y in hand_points(box)[:count] for number in (x, y, 0.9)]))


def says(*probabilities: float) -> ModelProto:
    """Classify each picture with the same probabilities."""
    return steady(np.array([probabilities], np.float32))


def model_folders(pipeline: str, folder: Path, version: str = "1", box: Box = LEFT) -> dict[str, Path]:
    """Write a model for each role of a built-in pipeline; return the folders by role."""
    makers: Mapping[str, tuple[ModelProto, dict[str, Any]]] = {
        "polyp": (finds(box), {"classes": ["polyp"]}),
        "detect": (finds(box, 2), {}),
        "banana": (outlines(box, 4), {"task": "segment", "classes": list(RIPENESS)}),
        "segment": (outlines(box, 2), {"task": "segment"}),
        "pose": (poses(box), {"task": "pose", "classes": ["hand"], "keypoints": {"count": LANDMARKS}}),
        "gesture": (poses(box), {"task": "pose", "classes": ["hand"], "keypoints": {"count": LANDMARKS}}),
        "deepfake": (says(0.2, 0.8), {"task": "classify", "classes": ["real", "fake"]}),
        "classify": (says(0.7, 0.3), {"task": "classify"}),
    }
    model, card = makers[pipeline]
    roles = list(load_builtin(pipeline).models)
    card |= {"name": f"test-{pipeline}", "version": version}
    folders = {roles[0]: save_model(folder / f"{pipeline}-{version}", model, None, **card)}
    if len(roles) > 1:
        card = {"name": "test-landmarks", "version": version, "task": "landmarks", "input_wh": [2 * LANDMARKS, 1]}
        card["classes"] = ["open", "close", "one"]
        folders[roles[1]] = save_model(folder / f"landmarks-{version}", landmarks_classifier(), None, **card)
    return folders


def polyp_model(folder: Path, version: str, box: Box, confidence: float = 0.9) -> Path:
    """Write a detector of polyps that finds one at `box` in each picture."""
    model = finds(box, confidence=confidence)
    return save_model(folder / f"polyp-{version}", model, name="test-polyp", version=version, classes=["polyp"])


def loaded(folder: Path, rules: ModelRules | None = None) -> LoadedModel:
    """Load a model as a worker would, on the CPU."""
    return load_model(folder, rules, EngineOptions("cpu", threads=1))


def settings_of(world: World) -> Settings:
    """Return the settings that a world's processes have."""
    return load_settings(world.env)


def store(world: World, folder: Path) -> ModelAddress:
    """Put a model into the world's object store."""
    model = read_model(folder)
    open_model_store(settings_of(world)).add(model)
    return ModelAddress.of(model.card)


def put_in_force(
    world: World,
    live: ModelAddress,
    role: str = "detector",
    *,
    canary: Canary | None = None,
    shadow: ModelAddress | None = None,
    previous: ModelAddress | None = None,
) -> None:
    """Publish a role's state; nobody tries first whether the model would do."""
    activation = Activation(
        activation_id=str(uuid.uuid4()),
        pipeline=world.pipeline,
        role=role,
        live=live,
        canary=canary,
        shadow=shadow,
        previous=previous,
        activated_at=datetime.now(UTC),
        activated_by="tests",
    )
    publish_activation(settings_of(world).kafka, activation, timeout_s=30)


def put_models_in_force(world: World, pipeline: str) -> dict[str, ModelAddress]:
    """Store and activate a model for each role of the built-in pipeline that the world is like."""
    addresses = {role: store(world, folder) for role, folder in model_folders(pipeline, world.folder).items()}
    for role, address in addresses.items():
        put_in_force(world, address, role)
    return addresses
