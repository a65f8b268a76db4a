"""A model against a labelled data set: mAP, accuracy, and where it goes wrong."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from processors.infer.interface import Answer
from processors.infer.model import LoadedModel
from schemas.errors import ConfigurationError
from schemas.modelcard import ModelCard, Task, Thresholds
from sightline.models.dataset import DataSet, Sample
from sightline.models.labels import Truth
from sightline.models.predict import predict
from sightline.models.tally import ClassTally, DetectionTally, Evaluation

# What a score over all confidences needs: nearly every detection.
EVERY_DETECTION = Thresholds(confidence=0.001, iou=0.7, max_detections=300)
SizedAnswers = Iterable[tuple[tuple[int, int], Answer]]  # (width, height) of the upright picture, and its answer


@dataclass(frozen=True, slots=True)
class LabelledClasses:
    """A data set's class ids in terms of a model's: `index[id]` is the number of the model's output."""

    index: tuple[int, ...]
    card: ModelCard

    def name(self, class_id: int) -> str:
        """Return the name that the model's answers carry for a class id of the data set."""
        return self.card.class_names[self.index[class_id]]

    def truth(self, truth: Truth) -> Truth:
        """Return the truth with the model's number for its class."""
        return Truth(self.index[truth.class_id], truth.bbox, truth.polygon, truth.keypoints)


def evaluate(model: LoadedModel, data: DataSet, thresholds: Thresholds = EVERY_DETECTION) -> Evaluation:
    """Run a model on every picture of a data set, by the same code as a worker does, and score it.

    Blocks for all of it. Raises ConfigurationError (a class that the model does not have, a wrong label or picture,
    with file and line), PictureFailedError.
    """
    _check_shape(data, model.card)
    # A wrong label is found before an hour of work, not after.
    for sample in data.samples:
        data.truths(sample)
    return evaluate_answers(model.card, data, predict(model, [sample.picture for sample in data.samples], thresholds))


def evaluate_answers(card: ModelCard, data: DataSet, answers: SizedAnswers) -> Evaluation:
    """Score answers that are there already, one a sample, in the order of the samples. Raises as `evaluate`."""
    classes = match_classes(data, card)
    if card.task is Task.CLASSIFY:
        return _evaluate_classes(classes, data.samples, answers)
    tally = DetectionTally(card.task, card.class_names, card.thresholds.confidence)
    for truths, answer in _pairs(data, classes, answers):
        tally.add(truths, answer)
    return tally.finish()


def match_classes(data: DataSet, card: ModelCard) -> LabelledClasses:
    """Find each class of the data set among the model's, by its name. Raises ConfigurationError."""
    numbers = {name: number for names in (card.class_names, card.classes) for number, name in enumerate(names)}
    missing = [name for name in data.classes if name not in numbers]
    if missing:
        known = ", ".join(card.class_names)
        raise ConfigurationError(str(data.place), f"class {missing[0]!r} is not one of the model's: {known}")
    return LabelledClasses(tuple(numbers[name] for name in data.classes), card)


def _check_shape(data: DataSet, card: ModelCard) -> None:
    labelled = data.form.keypoint_shape
    if card.keypoints is not None and labelled is not None and labelled[0] != card.keypoints.count:
        problem = f"labels have {labelled[0]} keypoints, the model {card.keypoints.count}"
        raise ConfigurationError(str(data.place), problem)


def _pairs(data: DataSet, classes: LabelledClasses, answers: SizedAnswers) -> Iterator[tuple[list[Truth], Answer]]:
    for sample, ((width, height), answer) in zip(data.samples, answers, strict=True):
        yield [classes.truth(truth.scaled(width, height)) for truth in data.truths(sample)], answer


def _evaluate_classes(classes: LabelledClasses, samples: Sequence[Sample], answers: SizedAnswers) -> Evaluation:
    tally = ClassTally(classes.card.class_names)
    for sample, (_, answer) in zip(samples, answers, strict=True):
        tally.add(classes.name(sample.class_id or 0), answer)
    return tally.finish()
