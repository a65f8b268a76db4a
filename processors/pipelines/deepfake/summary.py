"""Judges by the probability of `fake`."""

from typing import Annotated

from pydantic import Field

from processors.pipelines.summary import Material, Options, Summary, SummaryKind, one_role
from schemas.modelcard import Task
from schemas.result import Classification

REAL, FAKE, UNCERTAIN = "real", "fake", "uncertain"
Share = Annotated[float, Field(ge=0, le=1, strict=True)]


class DeepfakeOptions(Options):
    """From `threshold` on a picture is fake; closer to it than `uncertain_within` it is uncertain (0: never)."""

    threshold: Share = 0.5
    uncertain_within: Share = 0.0


def summarise_deepfake(material: Material, options: DeepfakeOptions) -> Summary:
    """Say real, fake, or (where the pipeline asks for it) uncertain, with the probability of fake."""
    probability = _probability_of_fake(material.classification)
    # Rounded: 0.6 - 0.5 is a little less than 0.1.
    if round(abs(probability - options.threshold), 6) < options.uncertain_within:
        verdict = UNCERTAIN
    else:
        verdict = FAKE if probability >= options.threshold else REAL
    return Summary(verdict, {"probability_fake": probability, "threshold": options.threshold})


def _probability_of_fake(found: Classification) -> float:
    if found.probabilities is not None:
        return found.probabilities[FAKE]
    return found.probability if found.label == FAKE else round(1 - found.probability, 4)


DEEPFAKE = SummaryKind(DeepfakeOptions, summarise_deepfake, one_role("classifier", Task.CLASSIFY, (REAL, FAKE)))
