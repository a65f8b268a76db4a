"""A picture's answer does not depend on which pictures share its batch."""

import pytest

from processors.infer.interface import Answer
from schemas.modelcard import ModelCard, Thresholds
from tests.parity.ours import Ours, load
from tests.parity.recorded import MODELS, PICTURES, TASKS, card_of, picture

_COUNT = 24
_ASKED = Thresholds(confidence=0.1, iou=0.7, max_detections=50)


def _answers(ours: Ours, task: str, batch: int) -> list[Answer]:
    """Answer pictures of many sizes; those whose inputs have one shape share batches, as they come."""
    kind = MODELS[task][1]
    files = sorted((PICTURES / kind).iterdir())[-_COUNT:]
    prepared = [ours.head.prepare(picture(kind, file.name)) for file in files]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index, one in enumerate(prepared):
        by_shape.setdefault(one.tensor.shape, []).append(index)
    answers: dict[int, Answer] = {}
    for indices in by_shape.values():
        for start in range(0, len(indices), batch):
            group = indices[start : start + batch]
            read = ours.answer([prepared[index] for index in group], [_ASKED] * len(group))
            answers |= dict(zip(group, read, strict=True))
    return [answers[index] for index in range(len(prepared))]


def _rect(card: ModelCard) -> ModelCard:
    return ModelCard.model_validate(card.model_dump() | {"rect": True})


@pytest.mark.parametrize("task", TASKS)
def test_batches_of_one_and_of_eight_are_equal(task: str) -> None:
    ours = load(MODELS[task][0], card_of(task))
    assert _answers(ours, task, 1) == _answers(ours, task, 8)


@pytest.mark.parametrize("task", ["detect", "segment", "pose"])
def test_mixed_shapes_are_equal(task: str) -> None:
    ours = load(MODELS[task][0], _rect(card_of(task)))
    assert _answers(ours, task, 1) == _answers(ours, task, 8)
