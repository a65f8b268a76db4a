"""Models on batches: a frame's answer and its failure are its own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from processors.analyse import Analysis, Subject, analyse, seeing
from processors.decode.pictures import decode_picture
from processors.infer.model import LoadedModel
from processors.inspect import inspect_picture
from processors.outcome import Failure, Outcome, Success
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.errors import Code, InputError, OutageError, Stage
from schemas.modelcard import Thresholds
from schemas.pipeline import MediaType
from tests import models
from tests.scenes import LEFT, RIGHT, SEEN, loaded, polyp_model
from tests.unit.processors import samples
from tests.unit.processors.lineups import BrokenEngine, CountingEngine, context, definition, models_of, with_engine

SIZES = [(160, 120), (96, 72), (72, 96), (200, 40), (64, 64)]
PHOTOS = [samples.encode(samples.photo(*SIZES[seed % len(SIZES)], seed=seed), MediaType.PNG) for seed in range(16)]
DARK = samples.encode(np.full((72, 96, 3), 1, np.uint8), MediaType.PNG)


def saved(folder: Path, model: ModelProto, **card: Any) -> LoadedModel:
    return loaded(models.save_model(folder, model, None, **card))


def classified(folder: Path, model: ModelProto) -> Callable[[Sequence[bytes]], list[Outcome]]:
    made = context(
        definition("classify"),
        {"classifier": saved(folder, model, task="classify", preprocessing={"resize": "stretch"})},
    )
    return lambda pictures: process([samples.frame(data, number) for number, data in enumerate(pictures)], made)


def answers(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        outcome.frame.frame_id: outcome.result.model_dump(exclude={"timings_ms"})
        for outcome in outcomes
        if isinstance(outcome, Success)
    }


@pytest.mark.parametrize("rect", [False, True])
def test_an_answer_does_not_depend_on_its_neighbours(tmp_path: Path, rect: bool) -> None:  # noqa: FBT001
    """Confidences follow each picture's mean here, so that a mix-up would show; sizes differ within the batch."""
    size = "side" if rect else models.SIZE
    detector = saved(tmp_path, models.detector(size=size), rect=rect)
    made = context(definition("detect", inference={"confidence": 0.1}), {"detector": detector})
    frames = [samples.frame(data, number) for number, data in enumerate(PHOTOS)]
    together = answers(process(frames, made))
    assert len({found["detections"][0]["confidence"] for found in together.values()}) > 12
    for step in (1, 3, 8):
        parts = [process(frames[start : start + step], made) for start in range(0, len(frames), step)]
        assert answers([outcome for part in parts for outcome in part]) == together
    assert answers(process(frames[::-1], made)) == together


@pytest.mark.parametrize("place", [0, 3, 7])
@pytest.mark.parametrize(
    ("model", "code"),
    [(models.failing_where_dark(), Code.INFERENCE_FAILED), (models.nan_where_dark(), Code.INFERENCE_INVALID)],
)
def test_a_picture_that_its_model_fails_on_costs_no_other_its_result(
    model: ModelProto, code: Code, place: int, tmp_path: Path
) -> None:
    run = classified(tmp_path, model)
    pictures = list(PHOTOS[:8])
    expected = answers(run(pictures))
    del expected[f"frame-{place}"]
    pictures[place] = DARK
    outcomes = run(pictures)
    assert answers(outcomes) == expected
    failed = outcomes[place]
    assert isinstance(failed, Failure)
    assert (failed.error.code, failed.error.stage) == (code, Stage.INFER)
    assert failed.error.__traceback__ is None


def test_an_engine_that_is_broken_is_nobodys_fault_and_waits(tmp_path: Path) -> None:
    detector = models_of("polyp", tmp_path)["detector"]
    broken = {"detector": with_engine(detector, BrokenEngine(detector))}
    with pytest.raises(OutageError):
        process([samples.frame(PHOTOS[0])], context(load_builtin("polyp"), broken))


def subject(chosen: dict[str, LoadedModel]) -> Subject:
    picture = decode_picture(inspect_picture(samples.frame(PHOTOS[1]), samples.ANY_INPUT))
    return Subject(chosen, seeing(chosen).head.prepare(picture), Thresholds())


def test_each_model_runs_once_and_answers_keep_their_order(tmp_path: Path) -> None:
    left, right = (loaded(polyp_model(tmp_path, str(n), box)) for n, box in enumerate((LEFT, RIGHT)))
    engines = CountingEngine(left), CountingEngine(right)
    left, right = with_engine(left, engines[0]), with_engine(right, engines[1])
    wanted = [left, right, right, left, right]
    found = analyse([subject({"detector": model}) for model in wanted])
    boxes = [one.answer.detections[0].bbox for one in found if isinstance(one, Analysis) and one.answer.detections]
    assert boxes == [SEEN[LEFT if model is left else RIGHT] for model in wanted]
    assert [engine.batches for engine in engines] == [[2], [3]]


def test_landmarks_are_classified_for_each_detection(tmp_path: Path) -> None:
    (found,) = analyse([subject(models_of("gesture", tmp_path))])
    assert isinstance(found, Analysis)
    assert found.answer.detections is not None
    assert found.landmarks is not None
    assert len(found.answer.detections) == len(found.landmarks) == 1
    assert found.landmarks[0].label in {"open", "close", "one"}


def test_without_detections_there_are_no_landmarks_to_classify(tmp_path: Path) -> None:
    chosen = models_of("gesture", tmp_path)
    engine = CountingEngine(chosen["classifier"])
    chosen["classifier"] = with_engine(chosen["classifier"], engine)
    picture = subject(chosen)
    nothing = Subject(chosen, picture.prepared, Thresholds(confidence=0.95))
    (found,) = analyse([nothing])
    assert isinstance(found, Analysis)
    assert (found.answer.detections, found.landmarks, engine.batches) == ((), (), [])


def test_a_landmarks_model_that_fails_on_a_hand_fails_its_frame_only(tmp_path: Path) -> None:
    chosen = models_of("gesture", tmp_path)
    classifier = chosen["classifier"]
    error = InputError(Code.INFERENCE_INVALID, Stage.INFER, "not finite")
    broken = chosen | {"classifier": with_engine(classifier, BrokenEngine(classifier, error))}
    good, bad = analyse([subject(chosen), subject(broken)])
    assert isinstance(good, Analysis)
    assert isinstance(bad, InputError)


def test_nothing_to_analyse_is_nothing() -> None:
    assert analyse([]) == []
