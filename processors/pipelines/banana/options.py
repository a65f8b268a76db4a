"""The numbers of the banana pipeline's arithmetic."""

from typing import Self

from pydantic import model_validator

from processors.pipelines.summary import Options
from schemas.pipeline import NotNegative, Score, Share


class GeometryOptions(Options):
    """When an outline is doubtful, and how many of its 100 points each doubt costs."""

    min_area_share: Share = 0.001  # of the picture
    max_area_share: Share = 0.9
    edge_margin: NotNegative = 1.0  # pixels
    self_intersection_costs: Score = 50
    area_costs: Score = 50
    out_of_frame_costs: Score = 30

    @model_validator(mode="after")
    def _area_has_room(self) -> Self:
        if self.min_area_share > self.max_area_share:
            raise ValueError("min_area_share is above max_area_share")
        return self


class Weights(Options):
    """How much each part counts in the overall score; they are brought to a sum of 1."""

    confidence: NotNegative = 40
    geometry: NotNegative = 40
    picture: NotNegative = 20

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if self.confidence + self.geometry + self.picture <= 0:
            raise ValueError("the weights are all zero")
        return self


class Grades(Options):
    """Lowest overall score of each grade; below `c` it is D."""

    a_plus: Score = 95
    a: Score = 85
    b: Score = 70
    c: Score = 50

    @model_validator(mode="after")
    def _grades_are_in_order(self) -> Self:
        if not self.c <= self.b <= self.a <= self.a_plus:
            raise ValueError("c, b, a and a_plus are not in rising order")
        return self


class BananaOptions(Options):
    """All of them."""

    geometry: GeometryOptions = GeometryOptions()
    weights: Weights = Weights()
    grades: Grades = Grades()
