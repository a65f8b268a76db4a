"""Says whether a picture shows a polyp."""

from processors.pipelines.counts import count_facts
from processors.pipelines.summary import Material, Options, Summary, SummaryKind, one_role
from schemas.modelcard import Task

POLYP_CLASS = "polyp"
SEEN, CLEAR = "polyp", "clear"


def summarise_polyp(material: Material, _: Options) -> Summary:
    """Say `polyp` where at least one was found, else `clear`, with their number and the highest confidence."""
    facts = count_facts(material.detections, [POLYP_CLASS])
    del facts["counts"]  # one class
    return Summary(SEEN if material.detections else CLEAR, facts)


POLYP = SummaryKind(Options, summarise_polyp, one_role("detector", Task.DETECT, (POLYP_CLASS,)))
