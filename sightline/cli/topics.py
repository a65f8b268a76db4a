"""`sightline topics`: make the topics what the topics file says."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from confluent_kafka.admin import AdminClient

from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_json, print_line, print_note
from sightline.cli.pipelines import check_name, load_definition, pipeline_names
from sightline.cli.start import start
from sightline.runtime.kafka import make_admin
from sightline.runtime.settings import Settings
from streams.topics import Change, Plan, apply_change, load_topics_file, make_plan, read_cluster, topics_of

topics = typer.Typer(help="Plan and make the topics of pipelines.", no_args_is_help=True)
_TIMEOUT_S = 15.0
_SIGNS = {"create": "+", "set": "~", "grow": "~"}

Pipelines = Annotated[list[str] | None, typer.Argument(help="Pipelines; all that are known by default.")]
File = Annotated[Path | None, typer.Option("--file", help="A topics file in place of the one that is built in.")]


@topics.command("plan")
def plan_(
    *, pipelines: Pipelines = None, file: File = None, as_json: AsJson = False, timeout_s: Timeout = _TIMEOUT_S
) -> None:
    """Show what [bold]apply[/bold] would change; changes nothing.

    Example: [bold]sightline topics plan civic[/bold]
    """
    _, plan = _plan(pipelines, file, timeout_s)
    _print_plan(plan, as_json=as_json)


@topics.command("apply")
def apply_(
    *,
    pipelines: Pipelines = None,
    file: File = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Create missing topics, change settings, add partitions. Nothing is deleted or made smaller.

    Example: [bold]sightline topics apply civic --yes[/bold]
    """
    admin, plan = _plan(pipelines, file, timeout_s)
    _print_plan(plan, as_json=as_json)
    if not plan.changes:
        return
    if not yes:
        _ask()
    for change in plan.changes:
        apply_change(admin, change, timeout_s)
    print_note(f"{len(plan.changes)} changes carried out")


def _ask() -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError("--yes", "is needed where nobody can be asked")
    if not typer.confirm("Carry out these changes?", err=True):
        raise typer.Exit(WORK_FAILED)


def _plan(pipelines: list[str] | None, file: Path | None, timeout_s: float) -> tuple[AdminClient, Plan]:
    settings = start()
    wanted = topics_of(known_or_named(pipelines or pipeline_names(settings), settings))
    rules = load_topics_file(file)
    admin = make_admin(settings.kafka)
    return admin, make_plan(rules, wanted, read_cluster(admin, wanted, timeout_s))


def known_or_named(names: Iterable[str], settings: Settings) -> list[PipelineDefinition | str]:
    """Return each pipeline's definition, or its name where only another machine has that.

    Raises ConfigurationError for what cannot be a name, and for a definition that is wrong.
    """
    known = set(pipeline_names(settings))
    return [load_definition(name, settings) if name in known else check_name(name) for name in names]


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    for warning in plan.warnings:
        print_note(f"warning: {warning}")
    for change in plan.changes:
        if as_json:
            print_json(_as_facts(change))
        else:
            _print_change(change)
    if not plan.changes and not as_json:
        print_line("nothing to change")


def _as_facts(change: Change) -> dict[str, Any]:
    return {"change": change.kind, "topic": change.topic, "before": change.before, "after": change.after}


def _print_change(change: Change) -> None:
    print_line(f"{_SIGNS[change.kind]} {change.topic}")
    for name, value in change.after.items():
        before = change.before.get(name)
        print_line(f"    {name}: {value}" if before is None else f"    {name}: {before} -> {value}")
