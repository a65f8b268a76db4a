"""`sightline demo`: everything on this machine, with nothing installed but Python."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import ConfigurationError
from sightline.cli.output import print_line
from sightline.demo.display import open_display
from sightline.demo.flow import Options
from sightline.demo.run import run_demo
from sightline.demo.samples import draw_samples

_SECONDS_ELSEWHERE = 30.0


def demo(
    *,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=1, help="End after this long. [default: on a terminal at Ctrl-C, else 30]"),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=0.1, max=200, help="Frames a second of all pipelines, at most.")
    ] = 8.0,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Keep database, objects and logs in this folder. [default: a temporary one]"),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            "--models",
            help="Show also the pipelines that need models, with those of this folder. [default: demo_models of the "
            "source tree, where sightline runs from it]",
        ),
    ] = None,
    without_models: Annotated[
        bool, typer.Option("--without-models", help="Show the civic pipeline alone: less work for a small machine.")
    ] = False,
    save_photos: Annotated[
        Path | None,
        typer.Option("--save-photos", help="Only write the sample photos to this folder, for `sightline run`."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other numbers draw other streets.")] = 1,
) -> None:
    """Run the whole platform here: broker, database, object store, workers, sinks, and cameras that send pictures.

    Photos for the civic pipeline are drawn at the start. Where there are demo models, they are put into the store and
    activated, and all other pipelines get pictures as well; what the models saw is drawn over these, to be opened.
    Good pictures, poor ones, and broken files flow until Ctrl-C. Then every frame is followed up: one result or one
    dead letter, once in the database, its bytes among the objects. The exit code is 1 if anything is lost, doubled or
    wrong.

    Examples: [bold]sightline demo[/bold], [bold]sightline demo --seconds 60 --rate 20 --dir demo[/bold],
    [bold]sightline demo --save-photos photos && sightline run civic photos[/bold]
    """
    if save_photos is not None:
        _save(save_photos, seed)
        return
    if seconds is None and not sys.stdout.isatty():
        seconds = _SECONDS_ELSEWHERE
    run_demo(Options(seconds, rate, folder, seed, models, with_models=not without_models), open_display())


def _save(folder: Path, seed: int) -> None:
    try:
        count = draw_samples(seed).save(folder)
    except OSError as error:
        raise ConfigurationError("--save-photos", f"{folder}: {error.strerror}") from None
    print_line(f"{count} files in {folder}; try: sightline run civic {folder}")
