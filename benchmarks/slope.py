"""The slope of a series that was sampled over time, taken in two ways."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

import numpy as np

_S_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Slope:
    """What a series gains in an hour, in its own unit.

    `least_squares` is that of the line with the least squared residuals, `median` that of Theil and Sen: the median of
    the slopes between any two samples, which single outliers do not move.
    """

    least_squares: float
    median: float


def slope_per_hour(seconds: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit both lines; needs two samples of different times."""
    fitted = linear_regression(seconds, values).slope
    times, levels = np.asarray(seconds, float), np.asarray(values, float)
    first, second = np.triu_indices(len(times), 1)
    pairwise = (levels[second] - levels[first]) / (times[second] - times[first])
    return Slope(fitted * _S_PER_HOUR, float(np.median(pairwise)) * _S_PER_HOUR)
