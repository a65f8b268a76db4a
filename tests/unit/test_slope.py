"""The slope by which a soak judges memory."""

import pytest

from benchmarks.slope import slope_per_hour

SECONDS = [10.0 * n for n in range(241)]


def test_a_steady_rise_has_its_slope() -> None:
    slope = slope_per_hour(SECONDS, [100 + 5 * second / 3600 for second in SECONDS])
    assert slope.least_squares == pytest.approx(5)
    assert slope.median == pytest.approx(5)


def test_one_wild_sample_hardly_moves_the_median() -> None:
    values = [100.0] * len(SECONDS)
    values[-1] = 1000.0
    slope = slope_per_hour(SECONDS, values)
    assert slope.least_squares > 30
    assert slope.median == 0
