"""Entry point of `sightline`: the commands, and the one place where errors become exit codes."""

import os
import sys
from typing import Annotated

import typer

from schemas.errors import ConfigurationError, OutageError, SightlineError
from sightline import __version__
from sightline.cli.config import config
from sightline.cli.database import database
from sightline.cli.deadletters import deadletters
from sightline.cli.demo import demo
from sightline.cli.doctor.command import doctor
from sightline.cli.exits import INTERRUPTED, UNREACHABLE, WORK_FAILED, WRONG_USE
from sightline.cli.pipelines import pipelines
from sightline.cli.publish import publish
from sightline.cli.results import results
from sightline.cli.run import run
from sightline.cli.sink import sink
from sightline.cli.topics import topics
from sightline.cli.worker import worker

app = typer.Typer(
    name="sightline",
    help="Streaming vision on Kafka: frames in, checked and scored results out, nothing lost.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 wrong use or configuration, 3 a service could not be reached.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_TRY = "Try it"
_DATA_PATH = "Data path"
_OPERATION = "Operation"
app.command(rich_help_panel=_TRY)(demo)
app.command(rich_help_panel=_TRY)(run)
app.command(rich_help_panel=_DATA_PATH)(worker)
app.add_typer(sink, name="sink", rich_help_panel=_DATA_PATH)
app.command(rich_help_panel=_DATA_PATH)(publish)
app.command(rich_help_panel=_DATA_PATH)(results)
app.add_typer(deadletters, name="deadletters", rich_help_panel=_OPERATION)
app.add_typer(topics, name="topics", rich_help_panel=_OPERATION)
app.add_typer(database, name="db", rich_help_panel=_OPERATION)
app.add_typer(pipelines, name="pipelines", rich_help_panel=_OPERATION)
app.add_typer(config, name="config", rich_help_panel=_OPERATION)
app.command(rich_help_panel=_OPERATION)(doctor)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- typer calls it with the option's value
    if wanted:
        typer.echo(f"sightline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[  # noqa: ARG001 -- its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with the exit code that contracts promise."""
    sys.exit(exit_code(arguments))


def exit_code(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code. Says in one line on standard error what went wrong."""
    try:
        answer = app(args=arguments, prog_name="sightline", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        # Nothing to say when help was printed for want of arguments.
        return _fail(WRONG_USE, error.format_message())
    except ConfigurationError as error:
        return _fail(WRONG_USE, str(error))
    except OutageError as error:
        return _fail(UNREACHABLE, str(error))
    except SightlineError as error:
        return _fail(WORK_FAILED, str(error))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return WORK_FAILED
    return answer if isinstance(answer, int) else 0


def _fail(code: int, problem: str) -> int:
    if problem:
        sys.stderr.write(f"sightline: {' '.join(problem.split())}\n")
    return code


def _let_go_of_stdout() -> None:
    """Python flushes at its end, and would complain about the closed pipe once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
