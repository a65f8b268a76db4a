"""Counts objects and measures the share of the picture that each class covers."""

from processors.pipelines.counts import count_facts, found_or_none
from processors.pipelines.geometry import area_of, rings_of
from processors.pipelines.summary import Material, Options, Summary, SummaryKind, one_role
from schemas.modelcard import Task


def summarise_segment(material: Material, _: Options) -> Summary:
    """Say whether anything was found, how many of each class, and how much of the picture it covers.

    `area_shares` sums the areas of a class's objects over the picture's; where two overlap both count.
    """
    width, height = material.evidence.upright_wh
    facts = count_facts(material.detections)
    areas = dict.fromkeys(facts["counts"], 0.0)
    for detection in material.detections:
        areas[detection.class_name] += area_of(rings_of(detection))
    facts["area_shares"] = {name: round(area / (width * height), 4) for name, area in areas.items()}
    return Summary(found_or_none(material.detections), facts)


SEGMENT = SummaryKind(Options, summarise_segment, one_role("detector", Task.SEGMENT))
