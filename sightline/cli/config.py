"""`sightline config`: what is set, and where it comes from."""

import os

import typer

from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_note, print_table
from sightline.runtime.settings import list_settings, unknown_variables

config = typer.Typer(help="Show the settings.", no_args_is_help=True)


@config.callback()
def _group() -> None:
    pass


@config.command()
def show(*, as_json: AsJson = False) -> None:
    """List every setting with its value and where that comes from; secrets are masked.

    Example: [bold]SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS=broker:9092 sightline config show[/bold]
    """
    listed = list_settings()
    if as_json:
        for setting in listed:
            print_json(
                {
                    "name": setting.name,
                    "variable": setting.variable,
                    "value": setting.value,
                    "origin": setting.origin,
                    "description": setting.description,
                }
            )
    else:
        print_table(
            ("SETTING", "VALUE", "ORIGIN", "VARIABLE"),
            ((setting.name, setting.value, setting.origin, setting.variable) for setting in listed),
        )
    for variable in unknown_variables(os.environ):
        print_note(f"warning: {variable} is no setting of sightline, and does nothing")
