"""What the subcommands of `sightline deadletters` share: how dead letters are chosen, and who acts on them."""

import functools
import getpass
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from schemas.errors import ConfigurationError
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import parse_moment
from sightline.cli.pipelines import check_name
from sinks.postgres.reader import DeadLetterFilter
from sinks.postgres.tables import STATES

FromTopic = Annotated[
    str | None,
    typer.Option("--from-topic", metavar="PIPELINE", help="Read this pipeline's topic in place of the database."),
]
Actor = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who does this; the user of this machine unless told.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done to each, and do nothing.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which dead letters a command is about, as the user gave it."""

    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids, as [bold]list[/bold] prints them.")] = None
    pipeline: Annotated[str | None, typer.Option("--pipeline", help="Of this pipeline only.")] = None
    code: Annotated[str | None, typer.Option("--code", help="With this error code only.")] = None
    stage: Annotated[str | None, typer.Option("--stage", help="That failed in this stage only.")] = None
    source: Annotated[str | None, typer.Option("--source", "--camera", help="Of this camera only.")] = None
    since: Annotated[str | None, typer.Option("--since", help="That failed at this ISO 8601 time or later.")] = None
    until: Annotated[str | None, typer.Option("--until", help="That failed before this ISO 8601 time.")] = None
    state: Annotated[str | None, typer.Option("--state", help=f"{', '.join(STATES[:-1])} or {STATES[-1]}.")] = None
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="This many at most.")] = None

    def filter(self) -> DeadLetterFilter:
        """Return the filter. Raises ConfigurationError for a time or a state that is none."""
        if self.state is not None and self.state not in STATES:
            raise ConfigurationError("--state", f"{self.state!r} is none of {', '.join(STATES)}")
        return DeadLetterFilter(
            pipeline=None if self.pipeline is None else check_name(self.pipeline),
            code=self.code,
            stage=self.stage,
            source=self.source,
            state=self.state,
            since=None if self.since is None else parse_moment("--since", self.since),
            until=None if self.until is None else parse_moment("--until", self.until),
            dl_ids=tuple(self.ids) if self.ids else None,
        )

    def insist(self) -> None:
        """Raise ConfigurationError when nothing at all was chosen: what acts on dead letters never means all."""
        given = (self.ids, self.pipeline, self.code, self.stage, self.source, self.since, self.until, self.state)
        if not any(given):
            raise ConfigurationError("ID, --pipeline, --code …", "say which dead letters: one of these is needed")


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `chosen` the arguments and options of `Chosen`, in its place."""
    own = inspect.signature(command, eval_str=True).parameters
    shared = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=field.type)
        for field in fields(Chosen)
    ]
    others = [parameter for name, parameter in own.items() if name != "chosen"]

    @functools.wraps(command)
    def with_options(**arguments: Any) -> None:
        chosen = Chosen(**{field.name: arguments.pop(field.name) for field in fields(Chosen)})
        command(chosen=chosen, **arguments)

    parameters = [*shared, *others]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads both
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def actor_name(given: str | None) -> str:
    """Return who acts: the name given, else that of the operating system's user. Raises ConfigurationError."""
    if given is not None:
        name = given.strip()
        if not name or not name.isprintable():
            raise ConfigurationError("--as", "must be a name")
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigurationError("--as", "is needed: this user has no name here") from None


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal unless told not to. Raises ConfigurationError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("--yes", "is needed where nobody can be asked")
    if not typer.confirm(question, err=True):
        raise typer.Exit(WORK_FAILED)
