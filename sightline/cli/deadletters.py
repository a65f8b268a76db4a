"""`sightline deadletters`: what failed, why, and its original bytes."""

import base64
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import ConfigurationError
from sightline.cli.deadletter_sources import DatabaseSource, DeadLetterSource, Row, TopicSource, original_value
from sightline.cli.exits import WORK_FAILED
from sightline.cli.files import STANDARD_INPUT
from sightline.cli.options import AsJson, Timeout, parse_moment
from sightline.cli.output import print_json, print_line, print_note, print_table
from sightline.cli.pipelines import check_name
from sightline.cli.start import start
from sightline.runtime.settings import Settings
from sinks.postgres.reader import DeadLetterFilter

deadletters = typer.Typer(help="List, show and save what failed.", no_args_is_help=True)
_TIMEOUT_S = 15.0
_COLUMNS = ("dl_time", "pipeline", "stage", "code", "source", "state", "dl_id")
_STANDARD_OUTPUT = STANDARD_INPUT

FromTopic = Annotated[
    str | None,
    typer.Option("--from-topic", metavar="PIPELINE", help="Read this pipeline's topic in place of the database."),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="A dead letter's id, as [bold]list[/bold] prints it.")]


@deadletters.command("list")
def list_(  # noqa: PLR0913 -- each is one option of the command line
    *,
    pipeline: Annotated[str | None, typer.Option("--pipeline", help="Of this pipeline only.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="With this error code only.")] = None,
    stage: Annotated[str | None, typer.Option("--stage", help="That failed in this stage only.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Of this camera only.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="That failed at this ISO 8601 time or later.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="open, redriven, resolved, parked or purged.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="This many at most, the newest first.")] = 50,
    from_topic: FromTopic = None,
    timeout_s: Timeout = _TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first.

    Example: [bold]sightline deadletters list --pipeline civic --state open --since 2026-03-01[/bold]
    """
    moment = None if since is None else parse_moment("--since", since)
    wanted = DeadLetterFilter(pipeline, code, stage, source, state, moment)
    rows = _source(start(), from_topic, timeout_s).select(wanted, limit)
    if as_json:
        for row in rows:
            print_json(_facts(row))
    else:
        print_table(
            [name.removeprefix("dl_").upper() for name in _COLUMNS],
            [[row.get(name) for name in _COLUMNS] for row in rows],
        )


@deadletters.command()
def show(*, dl_id: Id, from_topic: FromTopic = None, timeout_s: Timeout = _TIMEOUT_S, as_json: AsJson = False) -> None:
    """Show everything that is known of one dead letter, with the original's headers.

    Example: [bold]sightline deadletters show 0f8b1c52-…[/bold]
    """
    row = _find(_source(start(), from_topic, timeout_s), dl_id)
    facts = _facts(row)
    if as_json:
        print_json(facts)
        return
    headers = facts.pop("headers")
    print_table(("FACT", "VALUE"), sorted(facts.items()))
    print_line("")
    print_table(("HEADER", "VALUE"), [(header["name"], header["value"]) for header in headers])


@deadletters.command()
def save(
    *,
    dl_id: Id,
    output: Annotated[str, typer.Option("--output", "-o", help="A new file; - is standard output.")] = "-",
    from_topic: FromTopic = None,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Save the original bytes of a dead letter: from the object store, else from the topic.

    Example: [bold]sightline deadletters save 0f8b1c52-… -o broken.jpg[/bold]
    """
    settings = start()
    row = _find(_source(settings, from_topic, timeout_s), dl_id)
    value = original_value(row, settings, timeout_s)
    if value is None:
        print_note("there are no bytes: the record had no value, or retention has taken it")
        raise typer.Exit(WORK_FAILED)
    if output == _STANDARD_OUTPUT:
        sys.stdout.buffer.write(value)
    else:
        _write(Path(output), value)
        print_note(f"{len(value)} bytes written to {output}")


def _source(settings: Settings, from_topic: str | None, timeout_s: float) -> DeadLetterSource:
    if from_topic is not None:
        return TopicSource(settings.kafka, check_name(from_topic), timeout_s)
    if settings.database.url is None:
        raise ConfigurationError("SIGHTLINE_DATABASE_URL", "is not set; --from-topic PIPELINE reads Kafka instead")
    return DatabaseSource(settings.database_url())


def _find(source: DeadLetterSource, dl_id: str) -> Row:
    row = source.find(dl_id)
    if row is None:
        print_note(f"there is no dead letter {dl_id}")
        raise typer.Exit(WORK_FAILED)
    return row


def _facts(row: Row) -> dict[str, Any]:
    """Return a row as JSON can hold it: headers as text where they are, else as base64; so is the key."""
    facts = {name: value for name, value in row.items() if name not in {"headers", "key"} and value is not None}
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
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(value)
    except OSError as error:
        raise ConfigurationError("--output", f"{path} cannot be written: {error.strerror}") from None
