"""Models on the frames of a batch: first those that see pictures, then those that see what the first ones found."""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.infer.batching import infer
from processors.infer.interface import Answer, Prepared
from processors.infer.landmarks import LandmarksHead
from processors.infer.lineup import Chosen
from processors.infer.model import LoadedModel
from schemas.errors import InputError
from schemas.modelcard import Task, Thresholds
from schemas.result import Classification


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the models of one frame say. `landmarks` has one entry for each detection, in order."""

    answer: Answer
    landmarks: tuple[Classification, ...] | None = None


Analysed = Analysis | InputError


@dataclass(frozen=True, slots=True)
class Subject:
    """One frame for its models; `prepared` is the input of the one that sees the picture."""

    chosen: Chosen
    prepared: Prepared
    asked: Thresholds


def seeing(chosen: Chosen) -> LoadedModel:
    """Return the model that sees the picture."""
    return next(model for model in chosen.values() if model.card.task is not Task.LANDMARKS)


def analyse(subjects: Sequence[Subject]) -> list[Analysed]:
    """Return one analysis a subject, in order; a frame that its model fails on becomes an error and hurts no other."""
    return [
        _with_landmarks(subject, answer) if isinstance(answer, Answer) else answer
        for subject, answer in zip(subjects, _see(subjects), strict=True)
    ]


def _see(subjects: Sequence[Subject]) -> list[Answer | InputError]:
    """Run one model after the other on all frames that fall to it; a canary splits a batch in two."""
    places: dict[LoadedModel, list[int]] = {}
    for place, subject in enumerate(subjects):
        places.setdefault(seeing(subject.chosen), []).append(place)
    answers: dict[int, Answer | InputError] = {}
    for model, chosen in places.items():
        own = [subjects[place] for place in chosen]
        said = infer(model, [subject.prepared for subject in own], [subject.asked for subject in own])
        answers.update(zip(chosen, said, strict=True))
    return [answers[place] for place in range(len(subjects))]


def _with_landmarks(subject: Subject, answer: Answer) -> Analysed:
    """Classify the points of every detection; a few rows of numbers, so that frames need not share a run."""
    model = next((one for one in subject.chosen.values() if isinstance(one.head, LandmarksHead)), None)
    if model is None or not isinstance(model.head, LandmarksHead):
        return Analysis(answer)
    rows = [model.head.prepare_points(found.keypoints or []) for found in answer.detections or ()]
    classified = infer(model, rows, [subject.asked] * len(rows)) if rows else []
    landmarks = []
    for one in classified:
        if isinstance(one, InputError):
            return one
        if one.classification is not None:
            landmarks.append(one.classification)
    return Analysis(answer, tuple(landmarks))
