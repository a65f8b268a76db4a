"""Counts objects."""

from processors.pipelines.counts import count_facts, found_or_none
from processors.pipelines.summary import Material, Options, Summary, SummaryKind, one_role
from schemas.modelcard import Task


def summarise_detect(material: Material, _: Options) -> Summary:
    """Say whether anything was found, and how many of each class."""
    return Summary(found_or_none(material.detections), count_facts(material.detections))


DETECT = SummaryKind(Options, summarise_detect, one_role("detector", Task.DETECT))
