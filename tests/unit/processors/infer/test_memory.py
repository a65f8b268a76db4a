"""How much memory a model takes, and which batch fits a limit."""

from pathlib import Path
from typing import Any

import pytest

from processors.infer.engine import EngineOptions
from processors.infer.loading import load_model
from processors.infer.memory import default_batch, estimate_bytes, fit_batch
from processors.infer.onnxengine import CPU, CUDA
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import ModelCard
from tests import models

MB = 1_000_000
YOLOV8N = 13 * MB


def card(task: str = "detect", width: int = 640, height: int = 640) -> ModelCard:
    extra: dict[str, Any] = {"keypoints": {"count": 17}} if task == "pose" else {}
    fields = models.card_fields({"model.onnx": b""})
    return ModelCard.model_validate(fields | extra | {"task": task, "input_wh": [width, height]})


@pytest.mark.parametrize(
    ("side", "batch"), [(32, 8), (224, 8), (320, 8), (380, 7), (640, 4), (1280, 2), (2560, 1), (8192, 1)]
)
def test_the_batch_on_a_cpu_falls_with_the_input(side: int, batch: int) -> None:
    assert default_batch(card(width=side, height=side), CPU) == batch


def test_the_batch_on_a_gpu_does_not() -> None:
    assert default_batch(card(width=1280), CUDA) == 16


def test_rows_of_numbers_go_many_at_a_time() -> None:
    assert default_batch(card("landmarks", 42, 1), CPU) == 64


@pytest.mark.parametrize(
    ("task", "side", "batch", "measured_mb"),
    [("detect", 640, 4, 102), ("detect", 640, 16, 410), ("segment", 640, 8, 251), ("pose", 640, 4, 101)],
)
def test_estimates_of_activations_are_near_what_was_measured(
    task: str, side: int, batch: int, measured_mb: int
) -> None:
    assert estimate_bytes(card(task, side, side), 0, batch, 1) == pytest.approx(measured_mb * 2**20, rel=0.15)


def test_versions_add_their_weights_and_no_activations() -> None:
    one, two = (estimate_bytes(card(), YOLOV8N, 4, versions) for versions in (1, 2))
    assert two - one == pytest.approx(2.5 * YOLOV8N)


def test_a_batch_that_fits_stays_and_a_larger_one_is_lowered() -> None:
    model = card()
    for batch in range(1, 17):
        needed = estimate_bytes(model, YOLOV8N, batch, 2)
        assert fit_batch(model, YOLOV8N, 16, 2, needed) == batch
        assert fit_batch(model, YOLOV8N, 16, 2, needed - 1) == batch - 1
    assert fit_batch(model, YOLOV8N, 4, 2, None) == 4
    assert fit_batch(model, YOLOV8N, 4, 2, 10**12) == 4
    assert fit_batch(model, YOLOV8N, 4, 2, 1) == 0


def test_a_loaded_model_keeps_to_the_limit(tmp_path: Path) -> None:
    folder = models.save_model(tmp_path, models.detector())
    model = load_model(folder, None, EngineOptions("cpu"))
    size = sum(file.stat().st_size for file in folder.iterdir())
    for batch in (1, 2, 5):
        limit = estimate_bytes(model.card, size, batch, 2)
        assert load_model(folder, None, EngineOptions("cpu", memory_limit_bytes=limit)).max_batch == batch


@pytest.mark.parametrize("limit", [1, 1000, 200_000])
def test_a_model_of_which_not_even_one_picture_fits_is_refused(limit: int, tmp_path: Path) -> None:
    folder = models.save_model(tmp_path, models.detector())
    with pytest.raises(ModelError) as caught:
        load_model(folder, None, EngineOptions("cpu", memory_limit_bytes=limit))
    assert caught.value.code is ModelCode.MEMORY_EXCEEDED


def test_a_model_that_takes_more_than_its_estimate_is_lowered_by_its_trial(tmp_path: Path) -> None:
    """Each picture needs 16 MB and more, where the estimate says 2."""
    folder = models.save_model(tmp_path, models.heavy(channels=1024), task="classify")
    limit = 80 * MB
    assert fit_batch(card("classify", 64, 64), 20_000, 8, 2, limit) == 8
    assert 1 <= load_model(folder, None, EngineOptions("cpu", memory_limit_bytes=limit)).max_batch <= 4
    with pytest.raises(ModelError) as caught:
        load_model(folder, None, EngineOptions("cpu", memory_limit_bytes=8 * MB))
    assert caught.value.code is ModelCode.MEMORY_EXCEEDED
