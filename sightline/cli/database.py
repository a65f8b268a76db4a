"""`sightline db`: the database's tables."""

import typer

from sightline.cli.output import print_line
from sightline.cli.start import start
from sinks.postgres.upgrade import upgrade as upgrade_tables

database = typer.Typer(help="Keep the database's tables up to date.", no_args_is_help=True)


@database.callback()
def _group() -> None:
    pass


@database.command()
def upgrade() -> None:
    """Bring the tables to what this release expects. Safe to repeat, and from several machines at once.

    Example: [bold]SIGHTLINE_DATABASE_URL=postgresql://… sightline db upgrade[/bold]
    """
    upgrade_tables(start().database_url())
    print_line("the database is up to date")
