"""`sightline deadletters`: what failed, why, its original bytes, and what to do about it."""

import base64
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import ConfigurationError
from sightline.cli.deadletter_acts import park, purge, redrive
from sightline.cli.deadletter_options import Chosen, FromTopic, choosing
from sightline.cli.deadletter_sources import DatabaseSource, DeadLetterSource, Row, TopicSource, original_value
from sightline.cli.exits import WORK_FAILED
from sightline.cli.files import STANDARD_INPUT
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_line, print_note, print_table
from sightline.cli.pipelines import check_name
from sightline.cli.start import start
from sightline.runtime.settings import Settings

deadletters = typer.Typer(
    help="List, show, save and count what failed; send it again, park it, purge it.", no_args_is_help=True
)
_TIMEOUT_S = 15.0
_LIMIT = 50
_COLUMNS = ("dl_time", "pipeline", "stage", "code", "source", "state", "dl_id")
_STATES = ("open", "redriven", "resolved", "parked", "purged")
_STANDARD_OUTPUT = STANDARD_INPUT


@deadletters.command("list")
@choosing
def list_(
    *, chosen: Chosen, from_topic: FromTopic = None, timeout_s: Timeout = _TIMEOUT_S, as_json: AsJson = False
) -> None:
    """List dead letters, the newest first; 50 at most, unless told.

    Example: [bold]sightline deadletters list --pipeline civic --state open --since 2026-03-01[/bold]
    """
    rows = _source(start(), from_topic, timeout_s).select(chosen.filter(), chosen.limit or _LIMIT)
    if as_json:
        for row in rows:
            print_json(_facts(row))
    else:
        print_table(
            [name.removeprefix("dl_").upper() for name in _COLUMNS],
            [[row.get(name) for name in _COLUMNS] for row in rows],
        )


@deadletters.command()
@choosing
def show(
    *, chosen: Chosen, from_topic: FromTopic = None, timeout_s: Timeout = _TIMEOUT_S, as_json: AsJson = False
) -> None:
    """Show everything that is known of dead letters, with the original's headers and what was done to each.

    Example: [bold]sightline deadletters show 0f8b1c52-…[/bold]
    """
    chosen.insist()
    source = _source(start(), from_topic, timeout_s)
    rows, missing = _find(source, chosen)
    for row in rows:
        facts = _facts(row) | {"actions": [_filled(action) for action in source.actions(row["dl_id"])]}
        if as_json:
            print_json(facts)
        else:
            _print_facts(facts)
    if missing:
        raise typer.Exit(WORK_FAILED)


@deadletters.command()
@choosing
def save(
    *,
    chosen: Chosen,
    output: Annotated[
        str, typer.Option("--output", "-o", help="A new file, or a folder for many; - is standard output.")
    ] = "-",
    from_topic: FromTopic = None,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Save the original bytes of dead letters: from the object store, else from the topic.

    In a folder each file is called by its dead letter's id.

    Examples: [bold]sightline deadletters save 0f8b1c52-… -o broken.jpg[/bold],
    [bold]sightline deadletters save --code picture_corrupt -o broken/[/bold]
    """
    chosen.insist()
    settings = start()
    rows, missing = _find(_source(settings, from_topic, timeout_s), chosen)
    folder = Path(output) if output.endswith(os.sep) or Path(output).is_dir() else None
    if len(rows) > 1 and folder is None:
        raise ConfigurationError("--output", f"must be a folder: {len(rows)} dead letters are chosen")
    lacking = 0
    for row in rows:
        value = original_value(row, settings, timeout_s)
        if value is None:
            lacking += 1
            print_note(f"{row['dl_id']}: there are no bytes: the record had no value, or they are gone")
        elif output == _STANDARD_OUTPUT:
            sys.stdout.buffer.write(value)
        else:
            path = Path(output) if folder is None else folder / row["dl_id"]
            _write(path, value)
            print_note(f"{len(value)} bytes written to {path}")
    if missing or lacking:
        raise typer.Exit(WORK_FAILED)


@deadletters.command()
@choosing
def stats(
    *, chosen: Chosen, from_topic: FromTopic = None, timeout_s: Timeout = _TIMEOUT_S, as_json: AsJson = False
) -> None:
    """Count dead letters by day (UTC), code, stage and camera, with how many of them are in which state.

    Example: [bold]sightline deadletters stats --pipeline civic --since 2026-03-01[/bold]
    """
    counts = _source(start(), from_topic, timeout_s).count(chosen.filter())[: chosen.limit]
    if as_json:
        for one in counts:
            print_json(asdict(one))
        return
    states = [] if from_topic is not None else _STATES
    print_table(
        ("DAY", "STAGE", "CODE", "SOURCE", "COUNT", *(state.upper() for state in states)),
        [
            (one.day, one.stage, one.code, one.source, one.count, *(one.states.get(state, 0) for state in states))
            for one in counts
        ],
    )


for _command in (redrive, park, purge):
    deadletters.command()(choosing(_command))


def _source(settings: Settings, from_topic: str | None, timeout_s: float) -> DeadLetterSource:
    if from_topic is not None:
        return TopicSource(settings.kafka, check_name(from_topic), timeout_s)
    if settings.database.url is None:
        raise ConfigurationError("SIGHTLINE_DATABASE_URL", "is not set; --from-topic PIPELINE reads Kafka instead")
    return DatabaseSource(settings.database_url())


def _find(source: DeadLetterSource, chosen: Chosen) -> tuple[list[Row], bool]:
    """Return the dead letters chosen, and whether any that was named is not there, which is said."""
    ids = list(dict.fromkeys(chosen.ids or ()))
    if len(ids) == 1 and chosen == Chosen(ids=chosen.ids):
        row = source.find(ids[0])
        rows = [] if row is None else [row]
    else:
        rows = source.select(replace(chosen, ids=ids or None).filter(), chosen.limit)
    found = {row["dl_id"] for row in rows}
    missing = [dl_id for dl_id in ids if dl_id not in found]
    for dl_id in missing:
        print_note(f"there is no dead letter {dl_id}")
    return rows, bool(missing)


def _print_facts(facts: dict[str, Any]) -> None:
    headers, actions = facts.pop("headers"), facts.pop("actions")
    print_table(("FACT", "VALUE"), sorted(facts.items()))
    print_line("")
    print_table(("HEADER", "VALUE"), [(header["name"], header["value"]) for header in headers])
    if actions:
        names = ("acted_at", "actor", "action", "outcome", "target_topic", "target_partition", "target_offset")
        print_line("")
        print_table([name.upper() for name in names], [[action.get(name) for name in names] for action in actions])
    print_line("")


def _filled(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _facts(row: Row) -> dict[str, Any]:
    """Return a row as JSON can hold it: headers as text where they are, else as base64; so is the key."""
    facts = {name: value for name, value in _filled(row).items() if name not in {"headers", "key"}}
    key = row["key"]
    if key is not None:
        facts["key"] = _text_or_base64(bytes(key))
    facts["headers"] = [{"name": name, "value": _decoded(encoded)} for name, encoded in _pairs(row)]
    return facts


def _pairs(row: Row) -> Sequence[tuple[str, str | None]]:
    headers = row["headers"] or ()
    return json.loads(headers) if isinstance(headers, str) else headers


def _decoded(encoded: str | None) -> str | None:
    return None if encoded is None else _text_or_base64(base64.b64decode(encoded))


def _text_or_base64(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(data).decode()}"


def _write(path: Path, value: bytes) -> None:
    """Write a new file for its owner alone: what failed may be personal. Raises ConfigurationError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(value)
    except OSError as error:
        raise ConfigurationError("--output", f"{path} cannot be written: {error.strerror}") from None
