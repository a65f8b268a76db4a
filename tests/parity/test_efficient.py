"""A classifier that torch exported, with none of ultralytics' metadata, against torch's own answers."""

from collections.abc import Mapping
from typing import Any

import pytest

from schemas.identity import sha256_hex
from schemas.modelcard import ModelCard, Preprocessing, Task, Thresholds
from tests.parity.ours import load
from tests.parity.recorded import HERE, picture, recorded

_IMAGENET: Mapping[str, Any] = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
_PREPROCESSING = {
    1: Preprocessing(resize="stretch", interpolation="bicubic", **_IMAGENET),
    2: Preprocessing(resize="shortest-edge", resize_to=400, interpolation="bilinear", **_IMAGENET),
}
_MOST_APART = 0.002


def _card(outputs: int, preprocessing: Preprocessing) -> ModelCard:
    model = HERE / "models" / f"efficient-{outputs}" / "model.onnx"
    width, height = recorded(f"efficient-{outputs}")["size"]
    return ModelCard(
        name=f"efficient-{outputs}",
        version="1",
        task=Task.CLASSIFY,
        files={"model.onnx": sha256_hex(model.read_bytes())},
        classes=("real", "fake"),
        input_wh=(width, height),
        preprocessing=preprocessing,
        activation="sigmoid" if outputs == 1 else "softmax",
        licence="Apache-2.0",
    )


def _worst(outputs: int, preprocessing: Preprocessing) -> float:
    """Return how far our probability of `fake` is from torch's, at most."""
    card = _card(outputs, preprocessing)
    ours = load(HERE / "models" / card.name / "model.onnx", card)
    apart: list[float] = []
    for reference in recorded(card.name)["pictures"]:
        kind, name = reference["file"].split("/")
        (answer,) = ours.answer([ours.head.prepare(picture(kind, name))], [Thresholds()])
        assert answer.classification is not None
        assert answer.classification.probabilities is not None
        apart.append(abs(answer.classification.probabilities["fake"] - reference["probabilities"][1]))
    return max(apart)


@pytest.mark.parametrize("outputs", [1, 2])
def test_same_probabilities_as_torch(outputs: int) -> None:
    worst = _worst(outputs, _PREPROCESSING[outputs])
    print(f"{outputs} outputs: at most {worst:.5f} apart")
    assert worst < _MOST_APART


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_answers_are_not_all_alike(outputs: int) -> None:
    probabilities = [one["probabilities"][1] for one in recorded(f"efficient-{outputs}")["pictures"]]
    assert min(probabilities) < 0.4
    assert max(probabilities) > 0.6


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("change", [{"interpolation": "linear"}, {"channel_order": "bgr"}, {"mean": (0.0, 0.0, 0.0)}])
def test_wrong_preprocessing_is_noticed(outputs: int, change: dict[str, Any]) -> None:
    assert _worst(outputs, _PREPROCESSING[outputs].model_copy(update=change)) > _MOST_APART
