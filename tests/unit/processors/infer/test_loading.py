"""A model that is loaded has answered a trial picture; every other is refused with its code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.infer import loading
from processors.infer.batching import infer
from processors.infer.engine import EngineOptions, open_engine
from processors.infer.interface import Answer, Engine, Prepared
from processors.infer.loading import load_model
from processors.infer.trial import trial_input
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import CARD_FILE, ModelCard, Task, load_card, model_digest
from schemas.pipeline import ModelRules
from tests import models

OPTIONS = EngineOptions("cpu")
CLASSIFY: dict[str, Any] = {"task": "classify"}
LANDMARKS: dict[str, Any] = {"task": "landmarks", "input_wh": [42, 1], "classes": ["a", "b", "c"]}


def test_a_good_model_is_loaded_and_answers(tmp_path: Path) -> None:
    folder = models.save_model(tmp_path, models.detector())
    model = load_model(folder, ModelRules(task=Task.DETECT, classes=("second", "first")), OPTIONS)
    card = load_card((folder / CARD_FILE).read_text(), CARD_FILE)
    assert model.card == card
    assert model.digest == model_digest(card)
    assert model.max_batch == 8
    assert model.engine.provider == "CPUExecutionProvider"
    picture = Prepared(np.full((models.SIZE, models.SIZE, 3), 200, np.uint8), (models.SIZE, models.SIZE))
    (answer,) = infer(model, [picture], [card.thresholds])
    assert isinstance(answer, Answer)
    assert [(one.class_name, one.bbox) for one in answer.detections or ()] == [
        ("first", [6.0, 6.0, 26.0, 26.0]),
        ("second", [32.0, 32.0, 56.0, 48.0]),
    ]


@pytest.mark.parametrize(
    ("model", "card", "batch"),
    [
        (models.detector(size="side"), {"rect": True}, 8),
        (models.detector(dtype=models.HALF), {"precision": "fp16"}, 8),
        (models.detector(batch=1), {}, 1),
        (models.classifier(), CLASSIFY, 8),
        (models.classifier(classes=1, activation="Sigmoid"), CLASSIFY, 8),
        (models.landmarks_classifier(), LANDMARKS, 64),
    ],
    ids=["rect", "half", "batch fixed to 1", "classify", "one sigmoid for two classes", "landmarks"],
)
def test_models_of_other_kinds_are_loaded(model: Any, card: dict[str, Any], batch: int, tmp_path: Path) -> None:
    loaded = load_model(models.save_model(tmp_path, model, **card), None, OPTIONS)
    assert loaded.max_batch == batch
    trials = [trial_input(loaded.card, index) for index in range(5)]
    answers = infer(loaded, trials, [loaded.card.thresholds] * 5)
    assert all(isinstance(answer, Answer) for answer in answers)


def test_weights_in_a_listed_file_are_loaded(tmp_path: Path) -> None:
    model, data = models.external()
    folder = models.save_model(tmp_path, model, {"weights.bin": data}, **CLASSIFY)
    assert load_model(folder, None, OPTIONS).max_batch == 8


def cut(folder: Path) -> None:
    file = folder / "model.onnx"
    file.write_bytes(file.read_bytes()[:-30])


def saved(model: Any = None, **card: Any) -> Callable[[Path], Any]:
    return lambda folder: models.save_model(folder, models.detector() if model is None else model, **card)


def unlisted_weights(folder: Path) -> None:
    model, data = models.external()
    models.save_model(folder, model, **CLASSIFY)
    (folder / "weights.bin").write_bytes(data)


def then(make: Callable[[Path], Any], change: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def both(folder: Path) -> None:
        make(folder)
        change(folder)

    return both


REFUSED: dict[str, tuple[Callable[[Path], Any], ModelCode]] = {
    "no folder": (lambda _: None, ModelCode.MISSING),
    "no card": (then(saved(), lambda folder: (folder / CARD_FILE).unlink()), ModelCode.CARD_MISSING),
    "card is no text": (
        then(saved(), lambda folder: (folder / CARD_FILE).write_bytes(b"\xff\xfe\x00")),
        ModelCode.CARD_INVALID,
    ),
    "card has an unknown key": (saved(colour="green"), ModelCode.CARD_INVALID),
    "card without a licence": (saved(licence=""), ModelCode.CARD_INVALID),
    "no weights": (then(saved(), lambda folder: (folder / "model.onnx").unlink()), ModelCode.MISSING),
    "truncated after the card was made": (then(saved(), cut), ModelCode.DIGEST_MISMATCH),
    "truncated before": (saved(models.detector().SerializeToString()[:-30]), ModelCode.UNREADABLE),
    "empty": (saved(b""), ModelCode.UNREADABLE),
    "no model": (saved(b"PK\x03\x04 something else"), ModelCode.UNREADABLE),
    "unknown opset": (saved(models.unknown_opset(), **CLASSIFY), ModelCode.UNSUPPORTED),
    "unknown operator": (saved(models.unknown_operator(), **CLASSIFY), ModelCode.UNSUPPORTED),
    "external data missing": (saved(models.external()[0], **CLASSIFY), ModelCode.EXTERNAL_DATA_MISSING),
    "external data not listed": (unlisted_weights, ModelCode.EXTERNAL_DATA_MISSING),
    "fails on every picture": (saved(models.failing_above(0), **CLASSIFY), ModelCode.UNSUPPORTED),
    "not finite": (saved(models.always_nan(), **CLASSIFY), ModelCode.OUTPUT_INVALID),
    "logits for probabilities": (
        saved(models.classifier(activation="Exp"), **CLASSIFY),
        ModelCode.OUTPUT_INVALID,
    ),
    "another input size": (saved(input_wh=[128, 64]), ModelCode.SHAPE_WRONG),
    "rect, but a fixed size": (saved(rect=True), ModelCode.SHAPE_WRONG),
    "batch fixed to 4": (saved(models.detector(batch=4)), ModelCode.SHAPE_WRONG),
    "pictures for landmarks": (saved(**LANDMARKS), ModelCode.SHAPE_WRONG),
    "landmarks for pictures": (saved(models.landmarks_classifier(), **CLASSIFY), ModelCode.SHAPE_WRONG),
    "double precision": (saved(models.detector(dtype=models.DOUBLE)), ModelCode.SHAPE_WRONG),
    "too many classes": (saved(classes=["first", "second", "third"]), ModelCode.SHAPE_WRONG),
    "a classifier for a detector": (saved(models.classifier()), ModelCode.SHAPE_WRONG),
    "one row for all pictures": (saved(models.one_row(), **CLASSIFY), ModelCode.SHAPE_WRONG),
}


@pytest.mark.parametrize(("make", "code"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_model_is_refused_with_its_code(
    make: Callable[[Path], Any], code: ModelCode, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "model")
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / "model", None, OPTIONS)
    assert caught.value.code is code
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("rules", "card", "code"),
    [
        (ModelRules(task=Task.CLASSIFY), {}, ModelCode.TASK_WRONG),
        (ModelRules(task=Task.DETECT), {}, None),
        (ModelRules(task=Task.DETECT, classes=("first",)), {}, ModelCode.CLASSES_UNMAPPABLE),
        (ModelRules(task=Task.DETECT, classes=("first", "third")), {}, ModelCode.CLASSES_UNMAPPABLE),
        (ModelRules(task=Task.DETECT, classes=("first", "second", "third")), {}, ModelCode.CLASSES_UNMAPPABLE),
        (ModelRules(task=Task.DETECT, classes=("first", "third")), {"class_map": {"second": "third"}}, None),
        (ModelRules(task=Task.DETECT, classes=("one",)), {"class_map": {"first": "one", "second": "one"}}, None),
    ],
)
def test_a_model_must_fill_its_role(
    rules: ModelRules, card: dict[str, Any], code: ModelCode | None, tmp_path: Path
) -> None:
    folder = models.save_model(tmp_path, models.detector(), **card)
    if code is None:
        assert load_model(folder, rules, OPTIONS).card.task is Task.DETECT
        return
    with pytest.raises(ModelError) as caught:
        load_model(folder, rules, OPTIONS)
    assert caught.value.code is code


def test_the_largest_batch_is_a_setting(tmp_path: Path) -> None:
    folder = models.save_model(tmp_path, models.detector())
    assert load_model(folder, None, OPTIONS, max_batch=3).max_batch == 3
    assert load_model(folder, None, OPTIONS, max_batch=32).max_batch == 32


@pytest.mark.parametrize(("most", "batch"), [(1, 1), (2, 2), (3, 2), (5, 4)])
def test_a_batch_that_fails_on_trial_is_halved(most: int, batch: int, tmp_path: Path) -> None:
    folder = models.save_model(tmp_path, models.failing_above(most), **CLASSIFY)
    assert load_model(folder, None, OPTIONS).max_batch == batch


def test_a_model_that_mixes_pictures_runs_them_one_by_one(tmp_path: Path) -> None:
    model = load_model(models.save_model(tmp_path, models.mixing(), **CLASSIFY), None, OPTIONS)
    assert model.max_batch == 1


@pytest.mark.parametrize("make", [models.always_nan, models.failing_above], ids=["not finite", "fails"])
def test_what_is_refused_on_trial_is_closed(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Engine] = []
    closed: list[Engine] = []

    def opening(*arguments: Any) -> Engine:
        engine = open_engine(*arguments)
        monkeypatch.setattr(engine, "close", lambda: closed.append(engine))
        opened.append(engine)
        return engine

    monkeypatch.setattr(loading, "open_engine", opening)
    model = make() if make is models.always_nan else make(0)
    with pytest.raises(ModelError):
        load_model(models.save_model(tmp_path, model, **CLASSIFY), None, OPTIONS)
    assert closed == opened
    assert len(opened) == 1


def test_trial_inputs_are_drawn_the_same_each_time_and_differ() -> None:
    for fields in ({}, {"input_wh": [96, 32]}, LANDMARKS):
        card = ModelCard.model_validate(models.card_fields({"model.onnx": b""}) | fields)
        first, second = trial_input(card, 0), trial_input(card, 1)
        np.testing.assert_array_equal(first.tensor, trial_input(card, 0).tensor)
        assert not np.array_equal(first.tensor, second.tensor)
        assert first.tensor.shape == ((42,) if card.task is Task.LANDMARKS else (*card.input_wh[::-1], 3))
