"""How commands load models."""

from pathlib import Path

import pytest

from processors.pipelines import load_builtin
from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.pipeline import PipelineDefinition
from sightline.cli.loading import loader, max_frames, pinned_models
from sightline.models.local import read_model
from sightline.runtime.settings import Settings
from tests.models import detector, save_model
from tests.scenes import LEFT, model_folders

POLYP, CIVIC = load_builtin("polyp"), load_builtin("civic")


def _settings(**worker: object) -> Settings:
    return Settings.model_validate({"worker": {"device": "cpu", **worker}})


@pytest.mark.parametrize(
    ("definition", "device", "frames"),
    [(CIVIC, "auto", 16), (CIVIC, "cpu", 16), (POLYP, "cpu", 8), (POLYP, "auto", 8), (POLYP, "cuda", 16)],
)
def test_a_batch_suits_the_work(definition: PipelineDefinition, device: str, frames: int) -> None:
    assert max_frames(definition, _settings(device=device)) == frames


def test_a_pipeline_may_say_how_large_its_batches_are() -> None:
    batch = POLYP.batch.model_copy(update={"max_frames": 3})
    assert max_frames(POLYP.model_copy(update={"batch": batch}), _settings()) == 3


def test_each_role_has_its_model(tmp_path: Path) -> None:
    gesture = load_builtin("gesture")
    pins = [f"{role}={folder}" for role, folder in model_folders("gesture", tmp_path).items()]
    lineup = pinned_models(gesture, pins[::-1], _settings()).lineup()
    assert {role: model.card.name for role, model in lineup.live.items()} == {
        "detector": "test-gesture", "classifier": "test-landmarks",
    }  # fmt: skip
    assert list(lineup.live) == ["detector", "classifier"]
    assert (lineup.canary, lineup.shadow) == ({}, {})


def test_a_pipeline_without_models_has_an_empty_lineup() -> None:
    assert pinned_models(CIVIC, [], _settings()).lineup().live == {}
    with pytest.raises(ConfigurationError):
        pinned_models(POLYP, [], _settings())


def test_another_size_makes_another_model(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "any", detector([LEFT], classes=1, size="side"), None, classes=["polyp"])
    models = [
        pinned_models(POLYP, [str(folder)], _settings(), size).lineup().live["detector"] for size in (None, 64, 96)
    ]
    assert [model.card.input_wh for model in models] == [(64, 64), (64, 64), (96, 96)]
    assert models[0].digest == models[1].digest != models[2].digest


def test_a_landmarks_model_keeps_its_size(tmp_path: Path) -> None:
    gesture = load_builtin("gesture")
    model = read_model(model_folders("gesture", tmp_path)["classifier"])
    made = loader(gesture, _settings(), 96)(model.card, model.weights, gesture.models["classifier"])
    assert made.card.input_wh == (42, 1)


def test_the_pipelines_largest_batch_and_the_memory_limit_hold(tmp_path: Path) -> None:
    model = read_model(model_folders("polyp", tmp_path)["detector"])
    inference = POLYP.inference.model_copy(update={"max_batch": 2})
    definition = POLYP.model_copy(update={"inference": inference})
    rules = definition.models["detector"]
    assert loader(definition, _settings())(model.card, model.weights, rules).max_batch == 2
    assert loader(POLYP, _settings())(model.card, model.weights, rules).max_batch == 8
    large = read_model(
        save_model(
            tmp_path / "large", detector([LEFT], classes=1, size="side"), None, classes=["polyp"], input_wh=[2048, 2048]
        )
    )
    with pytest.raises(ModelError) as caught:
        loader(POLYP, _settings(memory_limit=64 * 1024 * 1024))(large.card, large.weights, rules)
    assert caught.value.code is ModelCode.MEMORY_EXCEEDED


def test_a_device_that_is_not_there_is_an_error_and_auto_takes_what_is(tmp_path: Path) -> None:
    model = read_model(model_folders("polyp", tmp_path)["detector"])
    rules = POLYP.models["detector"]
    assert loader(POLYP, _settings(device="auto"))(model.card, model.weights, rules).engine.provider
    with pytest.raises(ModelError) as caught:
        loader(POLYP, _settings(device="tensorrt"))(model.card, model.weights, rules)
    assert caught.value.code is ModelCode.DEVICE_UNAVAILABLE
