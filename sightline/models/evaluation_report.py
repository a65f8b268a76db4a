"""What an evaluation leaves in a folder: its numbers as JSON, its curves and its confusion matrix as pictures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.errors import ConfigurationError
from sightline.models.average_precision import CONFIDENCES, RECALLS, Scores
from sightline.models.drawing import Line, draw_confusion, draw_lines
from sightline.models.tally import Evaluation

FACTS_FILE: Final = "evaluation.json"
_NAMES: Final = {"": "box", "mask-": "mask", "OKS-": "pose"}
_DECIMALS: Final = 4


def facts(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON holds it."""
    return {
        "pictures": evaluation.pictures,
        "objects": evaluation.objects,
        "metrics": {name: round(value, _DECIMALS) for name, value in evaluation.metrics.items()},
        "classes": {
            name: {metric: round(value, _DECIMALS) for metric, value in row.items()}
            for name, row in evaluation.by_class.items()
        },
        "confusion": {
            "names": _confusion_names(evaluation),
            "counts": evaluation.confusion.astype(int).tolist(),
            "counted_above": evaluation.counted_above,
        },
    }


def write_evaluation(evaluation: Evaluation, about: dict[str, Any], folder: Path) -> list[Path]:
    """Write everything; returns the files. `about` goes into the JSON. Raises ConfigurationError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**about, **facts(evaluation)}, indent=2)
        (folder / FACTS_FILE).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(str(folder), f"cannot be written: {error.strerror}") from None
    return [folder / FACTS_FILE, *_draw(evaluation, folder)]


def _draw(evaluation: Evaluation, folder: Path) -> Iterator[Path]:
    confusion = folder / "confusion.png"
    draw_confusion(confusion, "Confusion matrix", _confusion_names(evaluation), evaluation.confusion)
    yield confusion
    for kind, scores in evaluation.scores.items():
        name = _NAMES[kind]
        curves = folder / f"{name}-precision-recall.png"
        title = f"Precision over recall, {name}, IoU 0.5: mAP50 {scores.map50:.3f}"
        draw_lines(curves, title, ("recall", "precision"), list(_precision_recall(evaluation, scores)))
        yield curves
        f1 = folder / f"{name}-f1.png"
        confidence, _, _, best = scores.at_best()
        title = f"F1 over confidence, {name}, IoU 0.5: best {best:.3f} at {confidence:.2f}"
        draw_lines(f1, title, ("confidence", "F1"), list(_f1(evaluation, scores)))
        yield f1


def _precision_recall(evaluation: Evaluation, scores: Scores) -> Iterator[Line]:
    curves = {number: one.precision_at_recall for number, one in scores.classes.items()}
    if curves:
        yield Line("all classes", RECALLS, np.mean(list(curves.values()), axis=0))
    for number, curve in curves.items():
        yield Line(f"{evaluation.classes[number]} {scores.classes[number].ap50:.3f}", RECALLS, curve)


def _f1(evaluation: Evaluation, scores: Scores) -> Iterator[Line]:
    curves = {number: one.f1 for number, one in scores.classes.items()}
    if curves:
        yield Line("all classes", CONFIDENCES, np.mean(list(curves.values()), axis=0))
    for number, curve in curves.items():
        yield Line(evaluation.classes[number], CONFIDENCES, curve)


def _confusion_names(evaluation: Evaluation) -> list[str]:
    nothing = ["nothing"] if len(evaluation.confusion) > len(evaluation.classes) else []
    return [*evaluation.classes, *nothing]
