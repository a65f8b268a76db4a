"""Entry point of `sightline`, and the one place where errors become exit codes."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from schemas.errors import ConfigurationError, OutageError, SightlineError
from sightline import __version__
from sightline.cli.exits import INTERRUPTED, UNREACHABLE, WORK_FAILED, WRONG_USE
from sightline.cli.lazy import LazyGroup, add_entries
from sightline.runtime.ending import end_process

app = typer.Typer(
    cls=LazyGroup,
    name="sightline",
    help="Streaming vision on Kafka: frames in, checked and scored results out, nothing lost.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 wrong use or configuration, 3 a service could not be reached.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_entries(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- typer calls it with the option's value
    if wanted:
        typer.echo(f"sightline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and end the process with the exit code that contracts promise."""
    end_process(exit_code(sys.argv[1:]))


def exit_code(arguments: list[str]) -> int:
    """Run one command; return its exit code. Says in one line on standard error what went wrong."""
    if arguments[:1] == ["worker"] and not {"-h", "--help"}.intersection(arguments):
        return _code_of(lambda: _run_supervised(arguments))
    return _run(arguments)


def _run_supervised(arguments: Sequence[str]) -> int:
    from sightline.cli.supervised import run_supervised  # noqa: PLC0415 -- settings take longer to import than help

    return run_supervised(arguments, _run)


def _run(arguments: Sequence[str]) -> int:
    return _code_of(lambda: app(args=list(arguments), prog_name="sightline", standalone_mode=False))


def _code_of(act: Callable[[], object]) -> int:
    try:
        answer = act()
        sys.stdout.flush()
    except (SightlineError, typer.TyperException) as error:
        return _fail(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return WORK_FAILED
    return answer if isinstance(answer, int) else 0


def _fail(error: SightlineError | typer.TyperException) -> int:
    problem = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    # Empty when help was printed for want of arguments.
    if problem:
        sys.stderr.write(f"sightline: {' '.join(problem.split())}\n")
    if isinstance(error, OutageError):
        return UNREACHABLE
    return WRONG_USE if isinstance(error, ConfigurationError | typer.TyperException) else WORK_FAILED


def _let_go_of_stdout() -> None:
    """Python flushes at its end, and would complain about the closed pipe once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
