"""`sightline models add | list | show | verify`: what is in the store."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from schemas.activation import ModelAddress
from schemas.errors import ConfigurationError, ModelError
from schemas.modelcard import ModelCard
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_line, print_note, print_table
from sightline.cli.pipelines import load_definition
from sightline.cli.start import start
from sightline.cli.trial import role_for, try_model
from sightline.models.cardfile import CardChanges, card_text
from sightline.models.local import LocalModel, read_model
from sightline.models.store import ModelStore, open_model_store
from sightline.runtime.settings import Settings

_COLUMNS = ("NAME", "VERSION", "TASK", "PRECISION", "INPUT", "CLASSES", "LICENCE", "DIGEST")
_DIGEST_SHOWN = 12

Model = Annotated[str, typer.Argument(help="NAME@VERSION; NAME where it has one version; or how a digest begins.")]


def add(  # noqa: PLR0913 -- each is an option of the command
    *,
    path: Annotated[Path, typer.Argument(help="A folder with card.yaml and weights, or an .onnx file.")],
    name: Annotated[str | None, typer.Option(help="The model's name; by default the card's, or the file's.")] = None,
    version: Annotated[
        str | None, typer.Option(help="Its version; by default the card's, or how the weights' SHA-256 begins.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="A card for weights that do not say what they are; files may be left out.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="The licence that the weights are under.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is, in one line.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Check that the model fits this pipeline.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Add it without trying whether it runs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a model into the store. What ultralytics exported fills its own card; any other ONNX needs one.

    The model answers a trial picture first. Adding it again changes nothing; a version never changes.

    Examples: [bold]sightline models add demo_models/demo-banana --pipeline banana[/bold],
    [bold]sightline models add best.onnx --name berries --version 2 --licence MIT[/bold]
    """
    settings = start()
    model = read_model(path, card, CardChanges(name, version, licence, description))
    _try(model, pipeline, settings, force=force)
    is_new = open_model_store(settings).add(model)
    address = ModelAddress.of(model.card)
    if as_json:
        print_json({**address.model_dump(), "added": is_new})
    else:
        print_line(f"{address} {address.digest}" + ("" if is_new else " (is there already)"))


def list_(*, as_json: AsJson = False) -> None:
    """List the models in the store.

    Example: [bold]sightline models list[/bold]
    """
    store = open_model_store(start())
    rows = []
    for address in store.addresses():
        try:
            card = store.card(address)
        except ModelError as error:
            # One that is damaged must not hide the others.
            print_note(f"warning: {error}")
            continue
        if as_json:
            print_json(_facts(address, card))
        else:
            rows.append(_row(address, card))
    if not as_json:
        print_table(_COLUMNS, rows)


def show(*, model: Model, as_json: AsJson = False) -> None:
    """Show a model's card, as YAML that `models add --card` takes.

    Example: [bold]sightline models show demo-banana@1[/bold]
    """
    store = open_model_store(start())
    address = store.find(model)
    card = store.card(address)
    if as_json:
        print_json({"digest": address.digest, **card.model_dump(mode="json")})
    else:
        typer.echo(f"# digest: {address.digest}\n{card_text(card)}", nl=False)


def verify(
    *,
    model: Annotated[str | None, typer.Argument(help="A model, as for [bold]show[/bold].")] = None,
    every: Annotated[bool, typer.Option("--all", help="Check all models.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download models and compare every file with its digest. The exit code is 1 when one is damaged.

    Example: [bold]sightline models verify --all[/bold]
    """
    if (model is None) != every:
        raise ConfigurationError("MODEL", "name one model, or give --all")
    store = open_model_store(start())
    damaged = _verify(store, store.addresses() if model is None else [store.find(model)], as_json=as_json)
    if damaged:
        raise typer.Exit(WORK_FAILED)


def _try(model: LocalModel, pipeline: str | None, settings: Settings, *, force: bool) -> None:
    """Refuse what could not be used; says what ran it. Raises ModelError and ConfigurationError."""
    definition = None if pipeline is None else load_definition(pipeline, settings)
    rules = None if definition is None else definition.models[role_for(definition, model.card)]
    if not force:
        print_note(f"tried on {try_model(model, rules, settings)}")


def _verify(store: ModelStore, addresses: Sequence[ModelAddress], *, as_json: bool) -> int:
    damaged = 0
    for address in addresses:
        problem = _damage(store, address)
        damaged += problem is not None
        if as_json:
            print_json({**address.model_dump(), "ok": problem is None, "problem": problem})
        else:
            print_line(f"ok       {address}" if problem is None else f"damaged  {address}: {problem}")
    return damaged


def _damage(store: ModelStore, address: ModelAddress) -> str | None:
    with tempfile.TemporaryDirectory(prefix="sightline-verify-") as folder:
        try:
            store.download(address, Path(folder))
        except ModelError as error:
            return f"{Path(error.where).name}: {error.problem}"
    return None


def _row(address: ModelAddress, card: ModelCard) -> tuple[str, ...]:
    return (
        card.name,
        card.version,
        card.task.value,
        card.precision,
        "x".join(str(side) for side in card.input_wh),
        str(len(card.classes)),
        card.licence,
        address.digest[:_DIGEST_SHOWN],
    )


def _facts(address: ModelAddress, card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "version": card.version,
        "digest": address.digest,
        "task": card.task.value,
        "role": card.role,
        "precision": card.precision,
        "input_wh": card.input_wh,
        "classes": card.classes,
        "licence": card.licence,
        "description": card.description,
        "metrics": card.metrics,
    }
