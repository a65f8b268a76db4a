"""What a model's card may say, and the digest that names it."""

from typing import Any

import pytest

from schemas.errors import ConfigurationError
from schemas.modelcard import Keypoints, Preprocessing, Task, load_card, model_digest
from tests.unit.models.samples import make_card


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weights": "other.onnx"}, "no entry for the weights"),
        ({"classes": ("a", "a")}, "listed twice"),
        ({"classes": ()}, "at least 1 item"),
        ({"class_map": {"pear": "fruit"}}, "does not have"),
        ({"task": Task.POSE}, "keypoints belong"),
        ({"keypoints": Keypoints(count=1)}, "keypoints belong"),
        ({"task": Task.CLASSIFY, "rect": True}, "rect needs a letterbox"),
        ({"rect": True, "preprocessing": Preprocessing(resize="stretch")}, "rect needs a letterbox"),
        ({"activation": "softmax"}, "always 1"),
        ({"licence": ""}, "at least 1 character"),
        ({"name": "Upper"}, "pattern"),
        ({"version": "a/b"}, "pattern"),
        ({"files": {"../model.onnx": "0" * 64}}, "pattern"),
        ({"files": {"model.onnx": "short"}}, "pattern"),
        ({"input_wh": (0, 64)}, "greater than or equal to 1"),
        ({"metrics": {"map50": float("nan")}}, "finite"),
        ({"surprise": 1}, "not permitted"),
        ({"classes": ("a", "")}, "no name"),
        ({"classes": ("a", "b\0")}, "cannot hold"),
        ({"classes": ("a", "\ud800")}, "cannot hold"),
        ({"classes": ("a",), "class_map": {"a": "\udfff"}}, "cannot hold"),
    ],
)
def test_a_card_that_contradicts_itself(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_card(**changes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 2, "skeleton": ((0, 2),)},
        {"count": 2, "names": ("a",)},
        {"count": 0},
        {"count": 2, "dimensions": 4},
    ],
)
def test_points_that_do_not_exist(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exist|names as points|greater|2 or 3"):
        Keypoints(**wrong)


def test_a_deviation_must_divide() -> None:
    with pytest.raises(ValueError, match="above zero"):
        Preprocessing(deviation=(1.0, 0.0, 1.0))


def test_classes_go_by_the_names_of_the_pipeline() -> None:
    card = make_card(classes=("banan", "leaf"), class_map={"banan": "banana"})
    assert card.class_names == ("banana", "leaf")


def test_a_card_is_read_with_file_and_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_card("name: a\nversion: '1'\ntask: dance\n", "card.yaml")
    assert caught.value.where == "card.yaml:3"


def test_the_digest_names_everything_that_answers_depend_on() -> None:
    card = make_card()
    changed = [
        make_card(version="2"),
        make_card(classes=("leaf",)),
        make_card(files={"model.onnx": "1" * 64}),
        make_card(preprocessing=Preprocessing(channel_order="bgr")),
        make_card(end_to_end=True),
    ]
    digests = {model_digest(one) for one in (card, *changed)}
    assert len(digests) == len(changed) + 1
    assert model_digest(make_card()) == model_digest(card)


def test_a_default_that_is_written_out_is_the_same_model() -> None:
    assert model_digest(make_card(end_to_end=False, stride=32)) == model_digest(make_card())


def test_the_digest_is_the_same_in_every_release() -> None:
    assert model_digest(make_card()) == "f4ebed9d73bdee616a4c887f2ec7fba7672b796771f756c80a1412a8b336ab50"
