"""Checks the outline of one banana."""

from dataclasses import dataclass

from processors.pipelines.banana.options import GeometryOptions
from processors.pipelines.geometry import area_of, crosses_itself, reaches_edge, rings_of
from schemas.result import Detection


@dataclass(frozen=True, slots=True)
class Outline:
    """What the checks found: an area in square pixels, doubts by name, and what is left of 100 points."""

    area: float
    problems: tuple[str, ...]
    score: float


def check_outline(detection: Detection, size_wh: tuple[int, int], options: GeometryOptions) -> Outline:
    """Check all rings of a detection against each doubt that there is; `size_wh` is of the upright picture."""
    rings = rings_of(detection)
    area = area_of(rings)
    share = area / (size_wh[0] * size_wh[1])
    doubts = (
        ("self_intersection", options.self_intersection_costs, any(crosses_itself(ring) for ring in rings)),
        ("too_small", options.area_costs, share < options.min_area_share),
        ("too_large", options.area_costs, share > options.max_area_share),
        ("out_of_frame", options.out_of_frame_costs, reaches_edge(rings, size_wh, options.edge_margin)),
    )
    score = max(100 - sum(cost for _, cost, holds in doubts if holds), 0.0)
    return Outline(area, tuple(name for name, _, holds in doubts if holds), score)
