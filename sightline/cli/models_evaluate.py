"""`sightline models evaluate`: what a model is worth on labelled pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import ConfigurationError
from schemas.modelcard import Thresholds
from sightline.cli.exits import WORK_FAILED
from sightline.cli.models_loaded import loaded_model
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_line, print_note, print_table
from sightline.cli.start import start
from sightline.models.dataset import load_dataset
from sightline.models.evaluate import EVERY_DETECTION
from sightline.models.evaluate import evaluate as run_evaluation
from sightline.models.evaluation_report import facts, write_evaluation
from sightline.models.tally import Evaluation

_WHOLE_NUMBERS = frozenset({"objects"})


def evaluate(  # noqa: PLR0913 -- each is an option of the command
    *,
    model: Annotated[str, typer.Argument(help="A model's folder or .onnx file, or NAME[@VERSION] in the store.")],
    data: Annotated[Path, typer.Argument(help="A data.yaml, or a folder with one, or with val/CLASS/… folders.")],
    split: Annotated[str, typer.Option(help="Which pictures: val or test, or train.")] = "val",
    confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out detections below this; mAP wants nearly all of them.")
    ] = EVERY_DETECTION.confidence,
    iou: Annotated[
        float, typer.Option(min=0, max=1, help="Boxes of a class that overlap more are one.")
    ] = EVERY_DETECTION.iou,
    limit: Annotated[int | None, typer.Option(min=1, help="Use this many pictures, evenly chosen.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write JSON, curves and confusion matrix into this folder.")
    ] = None,
    at_least: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, such as mAP50=0.9; exit code 1 below it. Repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a model on labelled pictures and score it: mAP and F1, or accuracy; by class, with where it goes wrong.

    Examples: [bold]sightline models evaluate demo_models/demo-banana data.yaml --report out/[/bold],
    [bold]sightline models evaluate polyp@3 data.yaml --split test --at-least mAP50=0.95[/bold]
    """
    settings = start()
    demands = parse_demands(at_least or [])
    thresholds = Thresholds(confidence=confidence, iou=iou, max_detections=EVERY_DETECTION.max_detections)
    with loaded_model(model, settings) as loaded:
        pictures = load_dataset(data, loaded.card.task, split).limited(limit)
        evaluation = run_evaluation(loaded, pictures, thresholds)
        about = {
            "model": loaded.card.name, "version": loaded.card.version, "digest": loaded.digest,
            "provider": loaded.engine.provider, "split": split, "confidence": confidence, "iou": iou,
        }  # fmt: skip
    missed = unmet(demands, evaluation)
    if report is not None:
        for file in write_evaluation(evaluation, about, report):
            print_note(f"written: {file}")
    _print(evaluation, about, as_json=as_json)
    for line in missed:
        print_note(line)
    if missed:
        raise typer.Exit(WORK_FAILED)


def parse_demands(options: list[str]) -> dict[str, float]:
    """Read NAME=VALUE options. Raises ConfigurationError."""
    demands = {}
    for option in options:
        name, equals, value = option.partition("=")
        try:
            demands[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigurationError("--at-least", f"{option!r} is not NAME=VALUE, such as mAP50=0.9")
    return demands


def unmet(demands: Mapping[str, float], evaluation: Evaluation) -> list[str]:
    """Say for each demand that is not met what was seen. Raises ConfigurationError for a name that there is not."""
    for name in demands:
        if name not in evaluation.metrics:
            raise ConfigurationError("--at-least", f"{name} is not one of {', '.join(evaluation.metrics)}")
    # Written this way, a value that is not a number meets nothing.
    return [
        f"{name} is {evaluation.metrics[name]:.4f}, at least {least:g} is wanted"
        for name, least in demands.items()
        if not evaluation.metrics[name] >= least
    ]


def _print(evaluation: Evaluation, about: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({**about, **facts(evaluation)})
        return
    columns = list(next(iter(evaluation.by_class.values()), {}))
    rows = [[name, *(_cell(column, row[column]) for column in columns)] for name, row in evaluation.by_class.items()]
    print_table(["CLASS", *(column.upper() for column in columns)], rows)
    print_line(f"{evaluation.pictures} pictures, {evaluation.objects} objects")
    print_line("  ".join(f"{name} {value:.4f}" for name, value in evaluation.metrics.items()))


def _cell(column: str, value: float) -> str:
    return f"{value:.0f}" if column in _WHOLE_NUMBERS else f"{value:.3f}"
