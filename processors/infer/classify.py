"""Classification: a probability for each class."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from processors.infer.activation import activate, as_probabilities, finite
from processors.infer.interface import Answer, Floats, Prepared, Tensor
from processors.infer.picture import PictureHead
from schemas.modelcard import ModelCard, Thresholds
from schemas.result import Classification

MAX_LISTED: Final = 20  # a result stays small when a model has a thousand classes
_ONE_OF_TWO: Final = 2


class ClassifyHead(PictureHead):
    """See Head. The only output is [pictures, classes], or [pictures, 1] of a model with two classes."""

    def read(self, outputs: Sequence[Tensor], batch: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Answer]:  # noqa: ARG002 - Head's signature
        """See Head; the thresholds say nothing here."""
        return classify(outputs, self.card)


def classify(outputs: Sequence[Tensor], card: ModelCard) -> list[Answer]:
    """Return a classification for each row of the one output.

    Of a single number for two classes, the activated number is the probability of the card's second class. Classes to
    which the card's `class_map` gives one name count together.
    Raises InputError (`inference_invalid`) where numbers are not finite, or no probabilities once activated.
    """
    (rows,) = finite(outputs)
    probabilities = as_probabilities(activate(rows, card.activation, axis=1))
    if rows.shape[1] == 1 and len(card.classes) == _ONE_OF_TWO:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    names = list(dict.fromkeys(card.class_names))
    if len(names) < len(card.classes):
        probabilities = _joined(probabilities, [names.index(name) for name in card.class_names])
    return [Answer(classification=_classification(row, names)) for row in probabilities]


def _joined(probabilities: Floats, places: Sequence[int]) -> Floats:
    """Add up the classes that the card gives one name. Those of a sigmoid may come to more than 1, which is cut."""
    joined = np.zeros((len(probabilities), max(places) + 1), np.float32)
    for place, column in zip(places, probabilities.T, strict=True):
        joined[:, place] += column
    return np.minimum(joined, 1)


def _classification(probabilities: Floats, names: Sequence[str]) -> Classification:
    """Name the best class, the first of equals, and the most probable ones with it (all up to MAX_LISTED)."""
    best_first = np.argsort(-probabilities, kind="stable")[:MAX_LISTED]
    listed = {names[index]: round(float(probabilities[index]), 4) for index in best_first}
    label = names[best_first[0]]
    return Classification(label=label, probability=listed[label], probabilities=listed)
