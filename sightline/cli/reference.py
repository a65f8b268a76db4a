"""Writes the reference pages from the code: `python -m sightline.cli.reference [--check] [FOLDER]`.

With `--check` nothing is written; the exit code is 1 when a page is not what the code says.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from schemas.errors import Code, ModelCode, ReplayCode, Stage
from sightline.cli.lazy import COMMANDS, load_command
from sightline.cli.main import app
from sightline.runtime.metrics import metric_names
from sightline.runtime.settings import describe_settings, list_settings, variable_name

_MADE = "<!-- Made by `python -m sightline.cli.reference`; change the code instead. -->\n"
_FOLDER = Path("docs/reference")
_SETTINGS_INTRODUCTION = (
    "Environment variables come before the YAML file that `SIGHTLINE_CONFIG` names, and that before the defaults. "
    "`sightline config show` prints what is in force, and where it comes from.\n"
)
_CODES_INTRODUCTION = (
    "Why an input failed: `dl_code` of a dead letter, `error.code` of `sightline run` and `sightline publish`. "
    "A code never changes its meaning.\n"
)


_MODEL_CODES_INTRODUCTION = (
    "Why a model is refused: in the message of `sightline models` and of `sightline run`, as `code` in a worker's log, "
    "in the alert `model-refused`, and on the metric `sightline_models_refused_total`.\n"
)

_REPLAY_CODES_INTRODUCTION = (
    "Why a command of another system is refused: `code` of its answer on `replay-answers`. A model's code, or one of "
    "the first table, may stand there too.\n"
)


def pages() -> dict[str, str]:
    """Return the text of every page by its file name."""
    return {
        "cli.md": _cli_page(),
        "settings.md": _settings_page(),
        "error-codes.md": _error_codes_page(),
        "metrics.md": _metrics_page(),
    }


def main(arguments: Sequence[str]) -> int:
    """Write or check the pages; return the exit code."""
    check = "--check" in arguments
    folder = next((Path(argument) for argument in arguments if argument != "--check"), _FOLDER)
    stale = [name for name, text in pages().items() if _differs(folder / name, text)]
    if check:
        sys.stdout.writelines(f"{folder / name} is not what the code says\n" for name in stale)
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


def _cli_page() -> str:
    parts = [_MADE, "# Command line\n"]
    parts += [f"{app.info.help}\n", f"{app.info.epilog} An interrupted command exits with 130.\n"]
    parts.append("Errors are one line on standard error: `sightline: WHERE: PROBLEM`. Logs go there as well.\n")
    for name in COMMANDS:
        parts += _command_parts(f"sightline {name}", load_command(name), None)
    return "\n".join(parts)


def _command_parts(title: str, command: Any, parent: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=title, parent=parent)
    subcommands = getattr(command, "commands", {})
    if subcommands:
        for name, subcommand in subcommands.items():
            yield from _command_parts(f"{title} {name}", subcommand, None)
        return
    yield f"## `{title}`\n"
    yield f"```\n{title} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield f"{_plain(command.help or '')}\n"
    parameters = [parameter for parameter in command.get_params(context) if parameter.name != "help"]
    if parameters:
        yield _table(("Parameter", "Default", "Meaning"), [_parameter_row(parameter) for parameter in parameters])


def _parameter_row(parameter: Any) -> tuple[str, str, str]:
    options = [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")]
    names = options or [(parameter.metavar or parameter.name).upper()]
    default = "" if parameter.default in (None, False, "") else f"`{parameter.default}`"
    return ", ".join(f"`{name}`" for name in names), default, _plain(parameter.help or "")


def _plain(text: str) -> str:
    """Turn typer's bold examples into code, and its wrapped lines into paragraphs."""
    return re.sub(r"\[bold\](.*?)\[/bold\]", r"`\1`", text).strip()


def _settings_page() -> str:
    defaults = {setting.variable: setting.value for setting in list_settings({})}
    rows = [
        (f"`{section}.{name}`", f"`{variable}`", f"`{defaults[variable]}`" if defaults[variable] else "", description)
        for section, name, description in describe_settings()
        for variable in [variable_name(section, name)]
    ]
    return "\n".join(
        [
            _MADE,
            "# Settings\n",
            _SETTINGS_INTRODUCTION,
            _table(("In the file", "Variable", "Default", "Meaning"), rows),
        ]
    )


def _error_codes_page() -> str:
    codes = [(f"`{code.value}`", code.explanation) for code in Code]
    of_replays = [(f"`{code.value}`", code.explanation) for code in ReplayCode]
    of_models = [(f"`{code.value}`", code.explanation) for code in ModelCode]
    stages = ", ".join(f"`{stage.value}`" for stage in Stage)
    return "\n".join(
        [
            _MADE,
            "# Error codes\n",
            _CODES_INTRODUCTION,
            _table(("Code", "Meaning"), codes),
            f"\nWhere it failed (`dl_stage`, `error.stage`) is one of {stages}.\n",
            "## Models\n",
            _MODEL_CODES_INTRODUCTION,
            _table(("Code", "Meaning"), of_models),
            "\n## Commands for replays\n",
            _REPLAY_CODES_INTRODUCTION,
            _table(("Code", "Meaning"), of_replays),
        ]
    )


def _metrics_page() -> str:
    rows = [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), meaning)
        for name, kind, meaning, labels in metric_names()
    ]
    return "\n".join(
        [
            _MADE,
            "# Metrics\n",
            "Workers and sinks serve these at `/metrics` of `--http-port`, for Prometheus.\n",
            _table(("Metric", "Type", "Labels", "Meaning"), rows),
        ]
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(text) for text in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
