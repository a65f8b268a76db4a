"""Batches never mix one picture's answer with another's, and one bad picture costs no other."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from processors.infer.batching import infer
from processors.infer.batchsize import BatchSize
from processors.infer.engine import EngineOptions, open_engine
from processors.infer.heads import make_head
from processors.infer.interface import Answer, Engine, EngineError, Prepared, Tensor
from processors.infer.model import LoadedModel
from processors.infer.trial import trial_input
from schemas.errors import BrokenError, Code, InputError, Stage
from schemas.modelcard import ModelCard, Thresholds
from tests import models

Make = Callable[..., LoadedModel]
GREY = 120


@pytest.fixture
def load(tmp_path: Path) -> Make:
    """Return a way to a model as it is, without the trial that would lower its batch."""

    def load_one(model: ModelProto, max_batch: int = 8, **card: Any) -> LoadedModel:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        made = ModelCard.model_validate(models.card_fields({"model.onnx": b""}) | card)
        engine = open_engine(path, EngineOptions("cpu"))
        return LoadedModel(made, "0" * 64, engine, make_head(made), max_batch, trial_input(made, 0))

    return load_one


class Watched:
    """An engine that notes the size of each run, and may break for good."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.provider, self.inputs, self.outputs = engine.provider, engine.inputs, engine.outputs
        self.shapes: list[tuple[int, ...]] = []
        self.broken = False
        self.most = 1000
        self.error: type[Exception] = EngineError

    def run(self, batch: Tensor) -> list[Tensor]:
        self.shapes.append(batch.shape)
        if self.broken or len(batch) > self.most:
            raise self.error
        return self.engine.run(batch)

    def close(self) -> None:
        self.engine.close()

    @property
    def sizes(self) -> list[int]:
        return [shape[0] for shape in self.shapes]


def watch(model: LoadedModel) -> tuple[LoadedModel, Watched]:
    watched = Watched(model.engine)
    return replace(model, engine=watched), watched


def grey(level: int, height: int = models.SIZE, width: int = models.SIZE) -> Prepared:
    return Prepared(np.full((height, width, 3), level, np.uint8), (width, height))


def ask(model: LoadedModel, prepared: Sequence[Prepared]) -> list[Answer | InputError]:
    return infer(model, prepared, [model.card.thresholds] * len(prepared))


def confidences(answers: Sequence[Answer | InputError]) -> list[float | None]:
    """Return the confidence of each picture's first detection: its mean, as the models of these tests have it."""
    return [
        answer.detections[0].confidence if isinstance(answer, Answer) and answer.detections else None
        for answer in answers
    ]


def test_nothing_in_nothing_out(load: Make) -> None:
    assert ask(load(models.detector()), []) == []


@pytest.mark.parametrize("max_batch", [1, 3, 8])
def test_answers_do_not_depend_on_the_batch(load: Make, max_batch: int) -> None:
    levels = [100 + 9 * index for index in range(11)]
    model, engine = watch(load(models.detector(), max_batch))
    answers = ask(model, [grey(level) for level in levels])
    assert answers == [ask(load(models.detector(), 1), [grey(level)])[0] for level in levels]
    assert confidences(answers) == [pytest.approx(level / 255, abs=1e-4) for level in levels]
    assert engine.sizes == [min(max_batch, 11 - start) for start in range(0, 11, max_batch)]


def test_each_picture_has_its_own_thresholds(load: Make) -> None:
    model = load(models.detector())
    asked = [Thresholds(confidence=0.1 * index) for index in range(8)]
    found = infer(model, [grey(GREY)] * 8, asked)
    assert [len(answer.detections or ()) for answer in found if isinstance(answer, Answer)] == [2] * 5 + [0] * 3


def test_pictures_share_runs_with_those_of_their_own_shape_only(load: Make) -> None:
    model, engine = watch(load(models.detector(size="side"), rect=True))
    shapes = [(64, 64), (32, 64), (64, 64), (64, 32), (32, 64), (64, 64)]
    levels = [100, 110, 120, 130, 140, 150]
    answers = ask(model, [grey(level, *shape) for level, shape in zip(levels, shapes, strict=True)])
    assert confidences(answers) == [pytest.approx(level / 255, abs=1e-4) for level in levels]
    assert engine.shapes == [(3, 3, 64, 64), (2, 3, 32, 64), (1, 3, 64, 32)]


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (models.nan_where_dark(), Code.INFERENCE_INVALID),
        (models.failing_where_dark(), Code.INFERENCE_FAILED),
    ],
    ids=["not finite", "engine fails"],
)
@pytest.mark.parametrize("bad", [{0}, {6}, {2, 3}, {0, 1, 2, 3, 4, 5, 6}])
def test_a_bad_picture_fails_alone(load: Make, model: ModelProto, code: Code, bad: set[int]) -> None:
    loaded = load(model, task="classify")
    pictures = [grey(0 if index in bad else 100 + 10 * index) for index in range(7)]
    answers = ask(loaded, pictures)
    errors = {index: answer for index, answer in enumerate(answers) if isinstance(answer, InputError)}
    assert set(errors) == bad
    assert {(error.code, error.stage) for error in errors.values()} == {(code, Stage.INFER)}
    assert all(error.__traceback__ is None for error in errors.values())
    good = [index for index in range(7) if index not in bad]
    assert [answers[index] for index in good] == [ask(loaded, [pictures[index]])[0] for index in good]


def test_a_bad_picture_is_not_blamed_on_the_size(load: Make) -> None:
    model = load(models.failing_where_dark(), task="classify")
    ask(model, [grey(GREY)] * 5 + [grey(0)] + [grey(GREY)] * 2)
    assert model.size.now == 8


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_a_batch_that_is_too_large_is_halved_and_the_size_remembered(load: Make, most: int) -> None:
    model = load(models.failing_above(most), task="classify")
    pictures = [grey(100 + index) for index in range(16)]
    answers = ask(model, pictures)
    assert answers == [ask(model, [picture])[0] for picture in pictures]
    assert all(isinstance(answer, Answer) for answer in answers)
    assert model.size.now == {1: 1, 2: 2, 3: 2, 5: 4}[most]


def test_the_size_that_worked_is_used_from_then_on(load: Make) -> None:
    model, engine = watch(load(models.failing_above(4), task="classify"))
    ask(model, [grey(GREY)] * 8)
    assert engine.sizes == [8, 4, 4]
    ask(model, [grey(GREY)] * 8)
    assert engine.sizes == [8, 4, 4, 4, 4]


def test_a_process_short_of_memory_halves_as_well(load: Make) -> None:
    model, engine = watch(load(models.detector()))
    engine.most = 2
    engine.error = MemoryError
    assert confidences(ask(model, [grey(GREY)] * 8)) == [pytest.approx(GREY / 255, abs=1e-4)] * 8
    assert model.size.now == 2


def test_a_broken_engine_is_an_outage_and_no_pictures_fault(load: Make) -> None:
    model, engine = watch(load(models.detector(), 4))
    engine.broken = True
    with pytest.raises(BrokenError) as caught:
        ask(model, [grey(GREY)] * 4)
    assert caught.value.service == "model"
    engine.broken = False
    assert None not in confidences(ask(model, [grey(GREY)] * 4))


def test_an_error_that_nobody_foresaw_passes_through(load: Make) -> None:
    model, engine = watch(load(models.detector(), 4))
    engine.broken = True
    engine.error = ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        ask(model, [grey(GREY)])


def test_rows_of_numbers_go_in_batches_too(load: Make) -> None:
    model = load(models.landmarks_classifier(), 4, task="landmarks", input_wh=[42, 1], classes=["a", "b", "c"])
    rows = [Prepared(np.full(42, index / 10, np.float32), (1, 1)) for index in range(6)]
    answers = ask(model, rows)
    assert answers == [ask(model, [row])[0] for row in rows]
    assert len({repr(answer) for answer in answers}) == 6


def test_threads_share_a_model(load: Make) -> None:
    model = load(models.failing_above(3), task="classify")
    levels = list(range(40, 240, 2))
    batches = [[grey(level) for level in levels[start : start + 5]] for start in range(0, 100, 5)]
    with ThreadPoolExecutor(4) as pool:
        answers = [answer for part in pool.map(lambda batch: ask(model, batch), batches) for answer in part]
    alone = load(models.failing_above(3), 1, task="classify")
    assert answers == [ask(alone, [grey(level)])[0] for level in levels]
    assert model.size.now == 3


def test_the_size_grows_again_and_waits_longer_after_each_fall() -> None:
    size = BatchSize(8)
    size.too_large(8)
    assert size.now == 4
    for _ in range(128):
        size.worked(4)
    assert size.now == 8
    size.too_large(8)
    for _ in range(255):
        size.worked(4)
    assert size.now == 4
    size.worked(3)  # a run that is not full says nothing
    assert size.now == 4
    size.worked(4)
    assert size.now == 8


def test_the_size_stays_between_one_and_most() -> None:
    size = BatchSize(3)
    size.too_large(3)
    size.too_large(2)
    size.too_large(1)
    assert size.now == 1
    size.too_large(3)  # learned already
    assert size.now == 1
    for _ in range(100_000):
        size.worked(size.now)
    assert size.now == 3


def test_an_engine_that_failed_once_is_asked_again_before_a_picture_is_blamed(load: Make) -> None:
    model, engine = watch(load(models.detector()))
    runs: list[int] = []

    def short_once(batch: Tensor) -> list[Tensor]:
        runs.append(len(batch))
        if len(runs) == 1:
            raise EngineError
        return engine.engine.run(batch)

    engine.run = short_once  # type: ignore[method-assign]
    assert None not in confidences(ask(model, [grey(GREY)]))
    assert runs == [1, 1, 1]  # the picture, the trial, the picture
