from pathlib import Path

import numpy as np
import pytest

from processors.examine import Examined, examine
from processors.gate import Decision
from processors.infer.lineup import Lineup
from processors.infer.model import LoadedModel
from processors.outcome import Success
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.errors import Code, InputError
from schemas.frame import FrameSettings
from schemas.modelcard import Thresholds
from schemas.pipeline import MediaType
from tests.scenes import LEFT, SEEN, loaded, polyp_model
from tests.unit.processors import lineups, samples
from tests.unit.processors.lineups import CountingEngine, context, definition, models_of, with_engine

PHOTO = samples.encode(samples.photo(), MediaType.JPEG)
DARK = samples.encode(np.zeros((72, 96, 3), np.uint8), MediaType.PNG)
POLYP = load_builtin("polyp")


@pytest.fixture
def detector(tmp_path: Path) -> LoadedModel:
    return models_of("polyp", tmp_path)["detector"]


def examined(settings: FrameSettings, live: LoadedModel, shadow: LoadedModel | None = None) -> Examined:
    shadows = {} if shadow is None else {"detector": shadow}
    lineup = Lineup({"detector": live}, {}, shadows)
    found = examine(samples.frame(PHOTO, settings=settings), lineup, context(POLYP, {}))
    assert isinstance(found, Examined)
    return found


def test_a_pipeline_without_models_prepares_nothing() -> None:
    found = examine(samples.frame(PHOTO), Lineup(), samples.context())
    assert isinstance(found, Examined)
    assert (dict(found.chosen), found.shadowing, found.asked, dict(found.prepared)) == ({}, None, None, {})


def test_each_model_that_sees_the_picture_gets_one_input(tmp_path: Path, detector: LoadedModel) -> None:
    other = loaded(polyp_model(tmp_path, "2", LEFT, confidence=0.5))
    assert set(examined(FrameSettings(), detector).prepared) == {detector.digest}
    assert set(examined(FrameSettings(), detector, other).prepared) == {detector.digest, other.digest}


def test_a_landmarks_model_sees_no_picture(tmp_path: Path) -> None:
    models = models_of("gesture", tmp_path)
    found = examine(samples.frame(PHOTO), Lineup(models), context(load_builtin("gesture"), models))
    assert isinstance(found, Examined)
    assert set(found.prepared) == {models["detector"].digest}


def test_live_and_shadow_are_asked_by_thresholds_of_their_own(tmp_path: Path, detector: LoadedModel) -> None:
    folder = polyp_model(tmp_path, "2", LEFT, confidence=0.5)
    card = (folder / "card.yaml").read_text()
    (folder / "card.yaml").write_text(f"{card}thresholds: {{iou: 0.5}}\n")
    shadow = loaded(folder)
    found = examined(FrameSettings(confidence=0.4), detector, shadow)
    assert found.asked == Thresholds(confidence=0.4, iou=0.7, max_detections=50)
    assert found.shadow_asked == Thresholds(confidence=0.4, iou=0.5, max_detections=50)
    assert examined(FrameSettings(), detector).shadow_asked is None


def test_thresholds_out_of_bounds_are_found_before_the_picture_is_touched(tmp_path: Path) -> None:
    models = models_of("banana", tmp_path)
    frame = samples.frame(b"no picture", settings=FrameSettings(confidence=0.05))
    with pytest.raises(InputError) as caught:
        examine(frame, Lineup(models), context(load_builtin("banana"), models))
    assert caught.value.code is Code.SETTING_INVALID


def test_what_the_gate_rejects_costs_no_inference(detector: LoadedModel) -> None:
    engine = CountingEngine(detector)
    live = {"detector": with_engine(detector, engine)}
    frames = [samples.frame(DARK if number % 2 else PHOTO, number) for number in range(4)]
    outcomes = process(frames, context(definition("polyp", gate="reject"), live, shadow=live))
    results = [outcome.result for outcome in outcomes if isinstance(outcome, Success)]
    assert [result.kind for result in results] == ["frame", "skipped", "frame", "skipped"]
    assert [result.verdict for result in results] == ["polyp", None, "polyp", None]
    assert [result.detections is None for result in results] == [False, True, False, True]
    assert [result.models is None for result in results] == [False, True, False, True]
    assert "infer" not in (results[1].timings_ms or {})
    assert engine.batches == [2, 2]  # live and shadow, of the two good frames


@pytest.mark.parametrize(("gate", "decision"), [("off", Decision.PASS), ("flag", Decision.FLAG)])
def test_a_gate_that_does_not_reject_lets_the_models_look(gate: str, decision: Decision, detector: LoadedModel) -> None:
    (outcome,) = process([samples.frame(DARK)], context(definition("polyp", gate=gate), {"detector": detector}))
    assert isinstance(outcome, Success)
    assert outcome.result.kind == "frame"
    assert outcome.result.detections is not None
    assert outcome.result.detections[0].bbox == SEEN[LEFT]
    assert (outcome.result.summary or {}).get("gate") == (None if decision is Decision.PASS else decision.value)


def test_a_lineup_is_asked_for_once_a_batch(detector: LoadedModel) -> None:
    asked = 0

    def lineup() -> Lineup:
        nonlocal asked
        asked += 1
        return Lineup({"detector": detector})

    made = lineups.context(POLYP, {})
    object.__setattr__(made, "lineup", lineup)
    process([samples.frame(PHOTO, number) for number in range(5)], made)
    assert asked == 1
