import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.measures import measure
from tests.unit.processors import samples


def naive_grey(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def assert_measured_as_by_numpy(bgr: NDArray[np.uint8]) -> None:
    grey = naive_grey(bgr)
    measures = measure(bgr)
    assert measures.laplacian_variance == pytest.approx(cv2.Laplacian(grey, cv2.CV_64F).var(), rel=1e-12, abs=1e-12)
    assert measures.pixels == grey.size
    assert measures.mean == pytest.approx(grey.mean(), rel=1e-12)
    assert measures.deviation == pytest.approx(grey.std(), rel=1e-9, abs=1e-9)
    assert measures.share(0, 49) == (grey < 50).mean()
    assert measures.share(200, 255) == (grey >= 200).mean()
    shares = np.bincount(grey.ravel(), minlength=256).cumsum() / grey.size
    for point in (0.005, 0.5, 0.995, 1.0):
        assert measures.level_at(point) == int(np.argmax(shares >= point))


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 90), height=st.integers(1, 90), seed=st.integers(0, 2**32 - 1), spread=st.integers(1, 256))
def test_measures_are_those_of_numpy_on_any_small_picture(width: int, height: int, seed: int, spread: int) -> None:
    low = (256 - spread) // 2
    random = np.random.default_rng(seed)
    assert_measured_as_by_numpy(random.integers(low, low + spread, (height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("width", "height"), [(1900, 700), (65_536, 3), (70_000, 2), (3, 65_537), (1, 70_000), (257, 1021)]
)
def test_bands_of_rows_join_without_a_seam(width: int, height: int) -> None:
    assert_measured_as_by_numpy(np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8))


def test_a_photo_is_measured_as_by_numpy() -> None:
    assert_measured_as_by_numpy(samples.photo(900, 700))


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_flat_picture_has_no_variance_and_one_level(level: int) -> None:
    measures = measure(np.full((30, 40, 3), level, np.uint8))
    assert measures.laplacian_variance == 0
    assert measures.mean == level
    assert measures.deviation == 0
    assert measures.level_at(0.005) == measures.level_at(0.995) == level


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turning_a_picture_changes_no_measure(orientation: int) -> None:
    bgr = samples.photo(500, 333)
    plain, turned = measure(bgr), measure(np.ascontiguousarray(samples.turned(bgr, orientation)))
    assert turned.laplacian_variance == plain.laplacian_variance
    assert np.array_equal(turned.histogram, plain.histogram)
