"""The commands by name, each imported only when it is called.

OpenCV, SQLAlchemy and the Kafka client take 0.5 s together to import, which `sightline --help`, shell
completion and a mistyped command must not wait for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

_TRY = "Try it"
_DATA_PATH = "Data path"
_OPERATION = "Operation"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives (`module:attribute`, a function or a typer app), and its line in the help."""

    place: str
    panel: str
    help: str


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("sightline.cli.demo:demo", _TRY, "Run everything on this machine, with only Python installed."),
    "run": Entry("sightline.cli.run:run", _TRY, "Run a pipeline on files, without any service."),
    "worker": Entry("sightline.cli.worker:worker", _DATA_PATH, "Answer frames with results or dead letters."),
    "sink": Entry("sightline.cli.sink:sink", _DATA_PATH, "Store results, dead letters, alerts and pictures."),
    "monitor": Entry("sightline.cli.monitor:monitor", _DATA_PATH, "Watch what comes out, and raise alerts."),
    "publish": Entry("sightline.cli.publish:publish", _DATA_PATH, "Publish pictures as frames."),
    "results": Entry("sightline.cli.results:results", _DATA_PATH, "Follow a pipeline's results."),
    "deadletters": Entry("sightline.cli.deadletters:deadletters", _OPERATION, "See, redrive, park, purge what failed."),
    "replay": Entry("sightline.cli.replay:replay", _OPERATION, "Send frames once more, compare, and promote."),
    "topics": Entry("sightline.cli.topics:topics", _OPERATION, "Plan and make the topics of pipelines."),
    "models": Entry("sightline.cli.models:models", _OPERATION, "Store, check, activate, export and measure models."),
    "db": Entry("sightline.cli.database:database", _OPERATION, "Keep the database's tables up to date."),
    "pipelines": Entry("sightline.cli.pipelines:pipelines", _OPERATION, "List and show pipelines."),
    "config": Entry("sightline.cli.config:config", _OPERATION, "Show the settings."),
    "doctor": Entry("sightline.cli.doctor.command:doctor", _OPERATION, "Check services, topics and settings."),
}  # fmt: skip


class LazyGroup(TyperGroup):
    """Lists commands by their entries; puts the real one in place of the entry when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See the base class."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name is not None and name in COMMANDS else command, rest


def add_entries(app: typer.Typer) -> None:
    """Register every entry under its name, for the help and for completion of names."""
    for name, entry in COMMANDS.items():
        app.command(name, help=entry.help, rich_help_panel=entry.panel)(_never_called)


def load_command(name: str) -> Any:
    """Import a command and return it as typer runs it."""
    module, _, attribute = COMMANDS[name].place.partition(":")
    loaded = getattr(import_module(module), attribute)
    # A group of its own, since only the root offers to install completion.
    shelf = typer.Typer(rich_markup_mode="rich", add_completion=False)
    shelf.callback()(_never_called)
    if isinstance(loaded, typer.Typer):
        shelf.add_typer(loaded, name=name)
    else:
        shelf.command(name)(loaded)
    group: Any = get_command(shelf)
    return group.commands[name]


def _never_called() -> None:
    """Stand in for a command in listings."""
