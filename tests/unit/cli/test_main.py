"""Exit codes, one-line errors, and a start that does not wait for heavy libraries."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import typer

from schemas.errors import Code, ConfigurationError, InputError, OutageError, SetupError, Stage, UnclearError
from sightline import __version__
from sightline.cli import main
from sightline.cli.lazy import COMMANDS, load_command


def _raising(error: BaseException) -> Callable[..., NoReturn]:
    def app(**_: Any) -> NoReturn:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigurationError("file.yaml:3", "unknown key"), 2, "sightline: file.yaml:3: unknown key\n"),
        (OutageError("kafka", "_TRANSPORT"), 3, "sightline: kafka: _TRANSPORT\n"),
        (SetupError("postgres", "no table"), 3, "sightline: postgres: no table\n"),
        (UnclearError("what\nnow"), 1, "sightline: what now\n"),
        (InputError(Code.VALUE_NULL, Stage.FRAME, "null"), 1, "sightline: value_null: null\n"),
        (typer.BadParameter("not a number"), 2, "sightline: Invalid value: not a number\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
    ],
)
def test_errors_become_exit_codes_and_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "app", _raising(error))
    assert main.exit_code([]) == code
    assert capsys.readouterr() == ("", line)


def test_an_unforeseen_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "app", _raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main.exit_code([])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["publsh"], "Did you mean 'publish'?"),
        (["run"], "PIPELINE"),
        (["publish", "civic", "a.jpg", "--rate", "fast"], "--rate"),
        (["config", "show", "--colour"], "--colour"),
    ],
)
def test_wrong_use_is_one_line_and_exits_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.exit_code(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("sightline: ")
    assert err.count("\n") == 1
    assert says.lower() in err.lower()


@pytest.mark.parametrize("arguments", [[], ["config"], ["topics"]])
def test_no_arguments_print_the_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.exit_code(arguments) == 2
    out, err = capsys.readouterr()
    assert "Usage: sightline" in out
    assert err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.exit_code(["--version"]) == 0
    assert capsys.readouterr().out == f"sightline {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_an_example(name: str) -> None:
    command = load_command(name)
    for single in getattr(command, "commands", {name: command}).values():
        assert "Example" in single.help, single.name


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["publsh"]])
def test_what_needs_no_service_imports_no_client_of_one(arguments: list[str]) -> None:
    heavy = "{'cv2', 'numpy', 'sqlalchemy', 'confluent_kafka', 'minio', 'psycopg2', 'alembic'}"
    call = "import sys; from sightline.cli.main import exit_code; exit_code(sys.argv[1:])"
    program = f"{call}; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m sightline.cli.main config show --json | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout in {"0\n", "1\n"}  # 0 when all fitted into the pipe before its reader went
