"""Measuring with a clock of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from processors.infer.engine import EngineOptions
from processors.infer.loading import load_model
from processors.infer.model import LoadedModel
from sightline.models.benchmark import camera_pictures, measure, peak_memory_bytes
from tests.models import detector, save_model


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    loaded = load_model(save_model(tmp_path / "model", detector()), None, EngineOptions())
    yield loaded
    loaded.engine.close()


class _Clock:
    """Each look at it is 10 ms after the last."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks / 100


def test_times_are_of_one_picture(model: LoadedModel) -> None:
    speed = measure(model, camera_pictures(1), 4, 0.0, _Clock())
    assert (speed.prepare_ms, speed.run_ms, speed.read_ms) == pytest.approx((2.5, 2.5, 2.5))
    assert speed.total_ms == pytest.approx(7.5)
    assert speed.pictures_per_s == pytest.approx(133.33, abs=0.01)
    assert speed.batch == 4


def test_it_goes_on_for_as_long_as_is_asked(model: LoadedModel) -> None:
    assert measure(model, camera_pictures(1), 1, 0.0, _Clock()).rounds == 3
    assert measure(model, camera_pictures(1), 1, 1.0, _Clock()).rounds == pytest.approx(20, abs=1)


def test_noise_is_always_the_same_and_of_a_cameras_size() -> None:
    first, second = camera_pictures(2), camera_pictures(2)
    assert (first[0] == second[0]).all()
    assert (first[0] != first[1]).any()
    assert first[0].shape == (720, 1280, 3)


def test_memory_is_in_bytes() -> None:
    assert 20_000_000 < peak_memory_bytes() < 1_000_000_000_000
