"""`sightline models activate | rollback | status`: which models are in force."""

import getpass
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from schemas.activation import Activation, ModelAddress
from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_json_text, print_line, print_note, print_table
from sightline.cli.pipelines import load_definition
from sightline.cli.start import start
from sightline.cli.trial import choose_role, try_model
from sightline.models import changes
from sightline.models.cache import ModelCache
from sightline.models.changes import Author, By, Place
from sightline.models.store import open_model_store
from sightline.runtime.settings import Settings
from streams.activations import publish_activation, read_activation

_COLUMNS = ("ROLE", "LIVE", "CANARY", "SHADOW", "PREVIOUS", "SINCE", "BY")
_TIMEOUT_S = 15.0

Pipeline = Annotated[str, typer.Argument(help="A pipeline's name.")]
Role = Annotated[str | None, typer.Option("--role", help="The role, where the pipeline has several.")]


def activate(  # noqa: PLR0913 -- each is an option of the command
    *,
    pipeline: Pipeline,
    model: Annotated[
        str | None,
        typer.Argument(
            help="NAME@VERSION; NAME where it has one version; or how a digest begins. Not needed to change the share "
            "of a canary, to end or to promote it, and to end a shadow."
        ),
    ] = None,
    role: Role = None,
    canary: Annotated[
        float | None, typer.Option(min=0, max=1, help="Let the model answer this share of the frames; 0 ends it.")
    ] = None,
    by: Annotated[
        By | None, typer.Option(help="Choose the share by frame, or by source: whole cameras. Default: frame.")
    ] = None,
    shadow: Annotated[
        bool | None,
        typer.Option("--shadow/--no-shadow", help="Let the model answer beside the live one, or end that."),
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Make the canary live.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do not try first whether the model fits.")] = False,
    as_json: AsJson = False,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Put a model in force: every worker loads it beside the old one, and switches between two batches.

    The model is first loaded here and checked against the pipeline. A new live model ends canary and shadow.

    Examples: [bold]sightline models activate banana demo-banana@1[/bold],
    [bold]sightline models activate banana demo-banana@2 --canary 0.1[/bold],
    [bold]sightline models activate banana --promote[/bold]
    """
    settings = start()
    definition = load_definition(pipeline, settings)
    place = Place(definition.name, choose_role(definition, role))
    _check_options(model, canary=canary, by=by, shadow=shadow, promote=promote)
    address = None if model is None else open_model_store(settings).find(model)
    if address is not None and not force:
        _try(address, definition, place.role, settings)
    state = read_activation(settings.kafka, place.pipeline, place.role, timeout_s=timeout_s)
    author = _author()
    if canary is None and shadow is None and not promote:
        wanted = changes.activate(place, state, _needed(address), author)
    elif state is None:
        raise ConfigurationError(str(place), "no model is live yet: activate one first")
    elif canary is not None:
        wanted = changes.set_canary(state, address, canary, by, author)
    elif promote:
        wanted = changes.promote(state, author)
    else:
        wanted = changes.set_shadow(state, _needed(address) if shadow else None, author)
    _publish(settings, state, wanted, timeout_s, as_json=as_json)


def rollback(
    *, pipeline: Pipeline, role: Role = None, as_json: AsJson = False, timeout_s: Timeout = _TIMEOUT_S
) -> None:
    """Go back to the model that was live before; canary and shadow end.

    Example: [bold]sightline models rollback banana[/bold]
    """
    settings = start()
    definition = load_definition(pipeline, settings)
    place = Place(definition.name, choose_role(definition, role))
    state = read_activation(settings.kafka, place.pipeline, place.role, timeout_s=timeout_s)
    if state is None:
        raise ConfigurationError(str(place), "no model is live yet")
    _publish(settings, state, changes.roll_back(state, _author()), timeout_s, as_json=as_json)


def status(*, pipeline: Pipeline, as_json: AsJson = False, timeout_s: Timeout = _TIMEOUT_S) -> None:
    """Show which models are in force for each role, since when, and by whom.

    Example: [bold]sightline models status gesture[/bold]
    """
    settings = start()
    definition = load_definition(pipeline, settings)
    rows: list[Sequence[object]] = []
    for role in definition.models:
        state = read_activation(settings.kafka, definition.name, role, timeout_s=timeout_s)
        if not as_json:
            rows.append((role, "none") if state is None else _row(state))
        elif state is None:
            print_json({"pipeline": definition.name, "role": role, "live": None})
        else:
            print_json_text(state.to_json())
    if not as_json:
        print_table(_COLUMNS, rows)


def _check_options(
    model: str | None, *, canary: float | None, by: By | None, shadow: bool | None, promote: bool
) -> None:
    if sum((canary is not None, shadow is not None, promote)) > 1:
        raise ConfigurationError("--canary, --shadow, --promote", "ask for one change at a time")
    if by is not None and not canary:
        raise ConfigurationError("--by", "belongs to --canary")
    if model is not None and (promote or shadow is False):
        raise ConfigurationError("MODEL", "is not asked for here: the one in question is known")


def _needed(address: ModelAddress | None) -> ModelAddress:
    if address is None:
        raise ConfigurationError("MODEL", "is needed")
    return address


def _try(address: ModelAddress, definition: PipelineDefinition, role: str, settings: Settings) -> None:
    """Load the model as a worker would. Raises ModelError where it does not fit."""
    download = open_model_store(settings).download
    with ModelCache(settings.models.cache_folder(), settings.models.cache_bytes, download).use(address) as model:
        print_note(f"tried on {try_model(model, definition.models[role], settings)}")


def _publish(
    settings: Settings, state: Activation | None, wanted: Activation, timeout_s: float, *, as_json: bool
) -> None:
    if changes.same_models(state, wanted):
        print_note("that is in force already; nothing to change")
        return
    publish_activation(settings.kafka, wanted, timeout_s=timeout_s)
    if as_json:
        print_json_text(wanted.to_json())
    else:
        print_line(_sentence(wanted))


def _sentence(state: Activation) -> str:
    parts = [f"{state.pipeline} {state.role}: live {state.live}"]
    if state.canary is not None:
        parts.append(f"canary {_canary(state)}")
    if state.shadow is not None:
        parts.append(f"shadow {state.shadow}")
    if state.previous is not None:
        parts.append(f"rollback goes to {state.previous}")
    return ", ".join(parts)


def _row(state: Activation) -> Sequence[object]:
    return (
        state.role, state.live, _canary(state), state.shadow, state.previous, state.activated_at, state.activated_by,
    )  # fmt: skip


def _canary(state: Activation) -> str:
    canary = state.canary
    return "" if canary is None else f"{canary.model} {canary.share:.4g} by {canary.by}"


def _author() -> Author:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user that nobody has given a name.
        user = str(os.getuid())
    return Author(f"{user}@{socket.gethostname()}", datetime.now(UTC))
