"""`sightline models`: the commands about models, each in a file of its own kind."""

import typer

from sightline.cli.models_activate import activate, rollback, status
from sightline.cli.models_benchmark import benchmark
from sightline.cli.models_evaluate import evaluate
from sightline.cli.models_export import export
from sightline.cli.models_store import add, list_, show, verify

models = typer.Typer(help="Store, check, activate, export and measure models.", no_args_is_help=True)
models.command()(add)
models.command("list")(list_)
models.command()(show)
models.command()(verify)
models.command()(activate)
models.command()(rollback)
models.command()(status)
models.command()(export)
models.command()(evaluate)
models.command()(benchmark)
