"""`sightline pipelines`, and finding a pipeline's definition: by file, in a folder of one's own, built in."""

from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer
import yaml

from processors.pipelines import check_definition
from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition, load_pipeline
from schemas.topics import PIPELINE_NAME
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_table
from sightline.cli.start import start
from sightline.runtime.settings import Settings

pipelines = typer.Typer(help="List and show pipelines.", no_args_is_help=True)
_DEFINITION = "pipeline.yaml"
_SUFFIXES = (".yaml", ".yml")
_WHERE = "SIGHTLINE_PIPELINES_DIR"


@pipelines.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the pipelines there are: those of SIGHTLINE_PIPELINES_DIR and the built-in ones.

    Example: [bold]sightline pipelines list[/bold]
    """
    settings = start()
    rows = []
    for name, place in sorted(_places(settings).items()):
        rows.append((name, _origin(place), _load(name, place).description))
    if as_json:
        for row in rows:
            print_json(dict(zip(("name", "origin", "description"), row, strict=True)))
    else:
        print_table(("PIPELINE", "ORIGIN", "DESCRIPTION"), rows)


@pipelines.command()
def show(
    *,
    pipeline: Annotated[str, typer.Argument(help="A pipeline's name, or its YAML file.")],
    as_json: AsJson = False,
) -> None:
    """Show a pipeline with every setting resolved, as YAML that can be used as a file of one's own.

    Example: [bold]sightline pipelines show civic > pipelines/mine.yaml[/bold]
    """
    definition = load_definition(pipeline, start()).model_dump(mode="json")
    if as_json:
        print_json(definition)
    else:
        typer.echo(yaml.safe_dump(definition, sort_keys=False, allow_unicode=True), nl=False)


def load_definition(name: str, settings: Settings) -> PipelineDefinition:
    """Load a pipeline by its name, or by the path of its YAML file.

    The folder of one's own comes before the built-in pipelines. Raises ConfigurationError with file and
    line, or with the names that are known.
    """
    if name.endswith(_SUFFIXES) or "/" in name:
        return _parse(_read(Path(name)), name)
    places = _places(settings)
    if name not in places:
        raise ConfigurationError(name, f"unknown pipeline; known are {', '.join(sorted(places)) or 'none'}")
    return _load(name, places[name])


def pipeline_names(settings: Settings) -> list[str]:
    """List the names of all pipelines. Raises ConfigurationError when the folder cannot be read."""
    return sorted(_places(settings))


def check_name(name: str) -> str:
    """Return a pipeline's name that may be of another machine's. Raises ConfigurationError when it cannot be one."""
    if not PIPELINE_NAME.fullmatch(name):
        raise ConfigurationError(ascii(name), "not a pipeline's name: lower-case letters, digits and hyphens")
    return name


def _places(settings: Settings) -> dict[str, Traversable]:
    built_in = resources.files("processors") / "pipelines"
    places = _in_folder(built_in.iterdir())
    if settings.pipelines.dir is not None:
        try:
            places |= _in_folder(settings.pipelines.dir.iterdir())
        except OSError as error:
            raise ConfigurationError(_WHERE, f"cannot be read: {error.strerror}") from None
    return places


def _in_folder(entries: Iterable[Traversable]) -> dict[str, Traversable]:
    """Find `NAME.yaml`, and `NAME/pipeline.yaml` where a pipeline has more than one file."""
    found: dict[str, Traversable] = {}
    for entry in entries:
        stem, dot, suffix = entry.name.rpartition(".")
        if entry.is_dir() and (entry / _DEFINITION).is_file():
            found[entry.name] = entry / _DEFINITION
        elif entry.is_file() and dot + suffix in _SUFFIXES:
            found[stem] = entry
    return found


def _load(name: str, place: Traversable) -> PipelineDefinition:
    definition = _parse(_read(place), str(place))
    if definition.name != name:
        raise ConfigurationError(str(place), f"the file is found as {name}, and calls itself {definition.name}")
    return definition


def _read(place: Traversable) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(place), f"cannot be read: {type(error).__name__}") from None


def _parse(text: str, filename: str) -> PipelineDefinition:
    definition = load_pipeline(text, filename)
    try:
        check_definition(definition)
    except ConfigurationError as error:
        raise ConfigurationError(filename, str(error)) from None
    return definition


def _origin(place: Traversable) -> str:
    built_in = Path(str(resources.files("processors"))) in Path(str(place)).parents
    return "built-in" if built_in else str(place)
