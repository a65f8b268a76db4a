"""Names a picture's class, unless the model is too unsure."""

from typing import Annotated, Any

from pydantic import Field

from processors.pipelines.summary import Material, Options, Summary, SummaryKind, one_role
from schemas.modelcard import Task

UNCERTAIN = "uncertain"


class ClassifyOptions(Options):
    """Below which probability of the best class the verdict is `uncertain`."""

    min_probability: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.0


def summarise_classify(material: Material, options: ClassifyOptions) -> Summary:
    """Give the label as the verdict, with its probability and its lead over the second best class."""
    found = material.classification
    facts: dict[str, Any] = {"label": found.label, "probability": found.probability}
    others = [share for name, share in (found.probabilities or {}).items() if name != found.label]
    if others:
        facts["margin"] = round(found.probability - max(others), 4)
    sure = found.probability >= options.min_probability
    return Summary(found.label if sure else UNCERTAIN, facts)


CLASSIFY = SummaryKind(ClassifyOptions, summarise_classify, one_role("classifier", Task.CLASSIFY))
