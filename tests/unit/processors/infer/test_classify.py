from typing import Any

import numpy as np
import pytest

from processors.infer.classify import MAX_LISTED, ClassifyHead
from schemas.errors import Code, InputError
from schemas.modelcard import Task
from schemas.result import Classification
from tests.unit.processors.infer.cards import ASKED, card, prepared


def _read(rows: list[list[float]], **changes: Any) -> list[Classification]:
    head = ClassifyHead(card(Task.CLASSIFY, **changes))
    answers = head.read([np.array(rows, np.float32)], [prepared()] * len(rows), [ASKED] * len(rows))
    assert all(answer.detections is None for answer in answers)
    return [answer.classification for answer in answers if answer.classification is not None]


def test_the_best_class_is_the_label() -> None:
    one, other = _read([[0.25, 0.75], [0.9, 0.1]], class_map={"cat": "tiger"})
    assert one == Classification(label="dog", probability=0.75, probabilities={"dog": 0.75, "tiger": 0.25})
    assert other.label == "tiger"


def test_logits_go_through_a_softmax() -> None:
    (said,) = _read([[1000.0, 1001.0]], activation="softmax")
    assert said.probabilities == {"dog": 0.7311, "cat": 0.2689}


def test_each_class_has_its_own_sigmoid() -> None:
    (said,) = _read([[2.0, -1000.0]], activation="sigmoid")
    assert said.probabilities == {"cat": 0.8808, "dog": 0.0}


@pytest.mark.parametrize(("activation", "number"), [("sigmoid", 1.3863), ("none", 0.8)])
def test_one_number_for_two_classes_is_the_second_ones(activation: str, number: float) -> None:
    (said,) = _read([[number]], activation=activation)
    assert said == Classification(label="dog", probability=0.8, probabilities={"dog": 0.8, "cat": 0.2})


def test_the_first_of_equals_is_the_label() -> None:
    (said,) = _read([[0.5, 0.5]])
    assert said.label == "cat"


def test_only_the_most_probable_of_many_classes_are_listed() -> None:
    names = tuple(f"class-{index}" for index in range(100))
    (said,) = _read([[index / 4950 for index in range(100)]], classes=names)
    assert said.label == "class-99"
    assert list(said.probabilities or ()) == [f"class-{index}" for index in range(99, 99 - MAX_LISTED, -1)]


@pytest.mark.parametrize("row", [[np.nan, 0.5], [np.inf, 0.5], [1.7, 0.1], [-0.3, 0.1]])
def test_what_is_no_probability_is_refused(row: list[float]) -> None:
    with pytest.raises(InputError) as caught:
        _read([row])
    assert caught.value.code is Code.INFERENCE_INVALID


def test_classes_of_one_name_count_together() -> None:
    classes, names = ("gan", "diffusion", "photo"), {"gan": "fake", "diffusion": "fake", "photo": "real"}
    (said,) = _read([[0.3, 0.3, 0.4]], classes=classes, class_map=names)
    assert said == Classification(label="fake", probability=0.6, probabilities={"fake": 0.6, "real": 0.4})


def test_a_class_that_gets_the_name_of_another_counts_with_it() -> None:
    (said,) = _read([[0.3, 0.7]], class_map={"cat": "dog"})
    assert said.probabilities == {"dog": 1.0}


def test_no_name_is_lost_behind_many_classes_of_another() -> None:
    classes = tuple(f"kind-{index}" for index in range(50))
    names = dict.fromkeys(classes, "fake") | {classes[-1]: "real"}
    (said,) = _read([[0.02] * 49 + [0.015]], classes=classes, class_map=names)
    assert said.probabilities == {"fake": 0.98, "real": 0.015}


def test_sigmoids_of_one_name_come_to_no_more_than_one() -> None:
    (said,) = _read([[3.0, 3.0]], classes=("a", "b"), class_map={"a": "c", "b": "c"}, activation="sigmoid")
    assert said.probability == 1
