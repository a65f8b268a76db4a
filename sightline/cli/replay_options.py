"""The options that say which frames a replay is of, and what it wants otherwise."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from processors.pipelines import check_definition
from schemas.activation import ModelAddress
from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition
from schemas.replay import REPLAY_ID, Overrides
from schemas.replaycommand import Window
from sightline.cli.options import parse_moment
from sightline.cli.pipelines import check_name, load_definition
from sightline.models.store import open_model_store
from sightline.runtime.settings import Settings
from streams.replay.selection import Selection, first_problem, parse_scores, parse_window

_TIME: Final = "ISO 8601 time"
_WHICH: Final = "Which frames"
_HOW: Final = "What is otherwise"

Pipeline = Annotated[str, typer.Argument(help="The pipeline whose frames are sent once more.")]
Name = Annotated[
    str | None, typer.Option("--id", help="The replay's name: lower-case letters, digits, hyphens. [default: r-TIME]")
]
ArrivedFrom = Annotated[
    str | None, typer.Option("--from", metavar=_TIME, help="That arrived then or later.", rich_help_panel=_WHICH)
]
ArrivedTo = Annotated[
    str | None, typer.Option("--to", metavar=_TIME, help="That arrived before.", rich_help_panel=_WHICH)
]
CapturedFrom = Annotated[
    str | None, typer.Option("--captured-from", metavar=_TIME, help="Captured then or later.", rich_help_panel=_WHICH)
]
CapturedTo = Annotated[
    str | None, typer.Option("--captured-to", metavar=_TIME, help="Captured before.", rich_help_panel=_WHICH)
]
Offsets = Annotated[
    list[str] | None,
    typer.Option(
        "--offsets", metavar="P:FROM-TO", help="Offsets of a partition, TO not included. Repeatable.",
        rich_help_panel=_WHICH,
    ),
]  # fmt: skip
Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Of this source. Repeatable.", rich_help_panel=_WHICH)
]
FrameIds = Annotated[
    list[str] | None, typer.Option("--frame-id", help="This frame. Repeatable.", rich_help_panel=_WHICH)
]
FrameIdFile = Annotated[
    Path | None,
    typer.Option("--frame-ids", metavar="FILE", help="The frames in this file, an id a line.", rich_help_panel=_WHICH),
]
Codes = Annotated[
    list[str] | None, typer.Option("--code", help="That failed with this code. Repeatable.", rich_help_panel=_WHICH)
]
Verdict = Annotated[
    str | None, typer.Option("--verdict", help="Whose live result has this verdict.", rich_help_panel=_WHICH)
]
Scores = Annotated[
    str | None,
    typer.Option("--score", metavar="FROM-TO", help="Whose live result has such a score.", rich_help_panel=_WHICH),
]
OfModel = Annotated[
    str | None,
    typer.Option(
        "--of-model", metavar="DIGEST", help="Whose live result is by this model.", rich_help_panel=_WHICH
    ),
]  # fmt: skip
Archive = Annotated[
    bool,
    typer.Option(
        "--archive/--no-archive", help="Take kept pictures where the topic has frames no more.", rich_help_panel=_WHICH
    ),
]
With = Annotated[
    str | None,
    typer.Option(
        "--with", metavar="PIPELINE", rich_help_panel=_HOW,
        help="Analyse by the rules of another pipeline: its name or file, such as civic-legacy.",
    ),
]  # fmt: skip
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Set one rule, such as quality.pass_score=70. Repeatable.",
        rich_help_panel=_HOW,
    ),
]  # fmt: skip
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="ROLE=NAME@VERSION", help="Use this stored model, whatever is activated. Repeatable.",
        rich_help_panel=_HOW,
    ),
]  # fmt: skip


def selection_of(  # noqa: PLR0913 -- each is one option of the command line
    *,
    pipeline: str,
    arrived_from: str | None,
    arrived_to: str | None,
    captured_from: str | None,
    captured_to: str | None,
    offsets: list[str] | None,
    cameras: list[str] | None,
    frame_ids: list[str] | None,
    frame_id_file: Path | None,
    codes: list[str] | None,
    verdict: str | None,
    scores: str | None,
    model: str | None,
    archive: bool,
) -> Selection:
    """Return what the options choose. Raises ConfigurationError."""
    score_from, score_to = _scores(scores)
    times = {
        "arrived_from": ("--from", arrived_from),
        "arrived_to": ("--to", arrived_to),
        "captured_from": ("--captured-from", captured_from),
        "captured_to": ("--captured-to", captured_to),
    }
    try:
        return Selection.model_validate({
            "pipeline": check_name(pipeline),
            **{name: None if text is None else parse_moment(option, text) for name, (option, text) in times.items()},
            "offsets": _windows(offsets or []),
            "cameras": cameras or (),
            "frame_ids": [*(frame_ids or []), *_lines(frame_id_file)],
            "codes": codes or (),
            "verdict": verdict,
            "score_from": score_from,
            "score_to": score_to,
            "model": model,
            "archive": archive,
        })  # fmt: skip
    except ValidationError as error:
        raise ConfigurationError("replay", first_problem(error)) from None


def overrides_of(
    pipeline: str, other: str | None, patches: list[str], models: list[str], settings: Settings
) -> Overrides | None:
    """Return what the replay wants otherwise, or None. Looks into the model store. Raises ConfigurationError."""
    if not (other or patches or models):
        return None
    definition = None
    if other or patches:
        definition = _patched(load_definition(other or pipeline, settings), patches)
    return Overrides(definition=definition, models=dict(_model(option, settings) for option in models))


def check_id(text: str) -> str:
    """Return a replay's name. Raises ConfigurationError where it cannot be one."""
    if REPLAY_ID.fullmatch(text) is None:
        raise ConfigurationError("--id", "wants lower-case letters, digits and hyphens, at most 64")
    return text


def _patched(definition: PipelineDefinition, patches: list[str]) -> PipelineDefinition:
    facts = definition.model_dump(mode="json")
    for patch in patches:
        path, equals, text = patch.partition("=")
        if not equals or not _put(facts, path.split("."), _value(text)):
            raise ConfigurationError("--set", f"{patch!r} is not PATH=VALUE with a path of the pipeline's file")
    try:
        patched = PipelineDefinition.model_validate(facts)
    except ValidationError as error:
        raise ConfigurationError("--set", first_problem(error)) from None
    check_definition(patched)
    return patched


def _value(text: str) -> Any:
    """Read a JSON value; what is none is text, such as `off`."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(facts: dict[str, Any], path: list[str], value: Any) -> bool:
    """Set one value of a tree; return whether there is such a place."""
    for name in path[:-1]:
        child = facts.get(name)
        if not isinstance(child, dict):
            return False
        facts = child
    if path[-1] not in facts or path[-1] == "name":
        return False
    facts[path[-1]] = value
    return True


def _model(option: str, settings: Settings) -> tuple[str, ModelAddress]:
    role, equals, text = option.partition("=")
    if not equals:
        raise ConfigurationError("--model", f"{option!r} is not ROLE=NAME@VERSION")
    return role, open_model_store(settings).find(text)


def _windows(texts: list[str]) -> dict[int, Window]:
    try:
        return dict(parse_window(text) for text in texts)
    except ValueError:
        raise ConfigurationError("--offsets", "wants PARTITION:FROM-TO, such as 3:100-250") from None


def _scores(text: str | None) -> tuple[float | None, float | None]:
    try:
        return (None, None) if text is None else parse_scores(text)
    except ValueError:
        raise ConfigurationError("--score", "wants FROM-TO, such as 40-65, or -65") from None


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("--frame-ids", f"{path} cannot be read: {type(error).__name__}") from None
