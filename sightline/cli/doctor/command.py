"""`sightline doctor`: whether all that the settings point to is there, and set up as it must be."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition
from sightline.cli.doctor.database import check_database
from sightline.cli.doctor.finding import Finding, exit_code, fail, ok, warn
from sightline.cli.doctor.kafka import check_kafka
from sightline.cli.doctor.objects import check_objects
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_line
from sightline.cli.pipelines import pipeline_names
from sightline.cli.start import start
from sightline.cli.topics import known_or_named
from sightline.runtime.settings import Settings, unknown_variables


def doctor(
    *,
    pipelines: Annotated[
        list[str] | None, typer.Argument(help="Pipelines whose topics to check; by default those that have any.")
    ] = None,
    timeout_s: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Check every service that is configured: reachable, rights, topics, limits, retention, clocks.

    Writes and deletes one small object in the object store; changes nothing else. Each line says ok, warn
    or fail, and what to do. Exit codes: 0 nothing fails, 1 something fails, 3 a service cannot be reached.

    Example: [bold]sightline doctor civic[/bold]
    """
    settings = start()
    asked = known_or_named(pipelines, settings) if pipelines else None
    findings = []
    for finding in _findings(settings, asked, timeout_s):
        findings.append(finding)
        _print(finding, as_json=as_json)
    code = exit_code(findings)
    if code:
        raise typer.Exit(code)


def _findings(settings: Settings, asked: list[PipelineDefinition | str] | None, timeout_s: float) -> Iterator[Finding]:
    yield from _check_settings()
    known, wrong = _known(settings)
    yield from wrong
    yield from check_kafka(settings.kafka, asked, known, timeout_s)
    yield from check_database(settings)
    yield from check_objects(settings)


def _known(settings: Settings) -> tuple[list[PipelineDefinition | str], list[Finding]]:
    """Return every pipeline, by its name alone where its file is wrong, and what is said of such files."""
    known: list[PipelineDefinition | str] = []
    wrong = []
    for name in pipeline_names(settings):
        try:
            known += known_or_named([name], settings)
        except ConfigurationError as error:
            known.append(name)
            wrong.append(fail("pipelines", str(error), "correct the file"))
    return known, wrong


def _check_settings() -> Iterator[Finding]:
    unknown = unknown_variables(os.environ)
    for name in unknown:
        yield warn("settings", f"{name} is no setting of sightline", "correct its name, or unset it")
    if not unknown:
        yield ok("settings", "every SIGHTLINE_ variable is known")


def _print(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(finding))
        return
    advice = f" -> {finding.advice}" if finding.advice else ""
    print_line(f"{finding.status:<4}  {finding.check:<12}  {finding.says}{advice}")
