"""What commands print: JSON lines for machines, tables for people. Standard output carries nothing else."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.encoding import format_time

# A table that is read by a program is not cut to a terminal's width.
_WIDTH_ELSEWHERE = 240


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON line and send it off at once: a reader may be waiting for it."""
    print_json_text(json.dumps(value, default=_plain).encode())


def print_json_text(text: bytes) -> None:
    """As `print_json`, for what is JSON already."""
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Write one line for people."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def print_note(text: str) -> None:
    """Write one line for people beside the output: to standard error."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table; cells are cut only where a terminal is too narrow."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(printable(_cell(value)) for value in row))
    width = None if sys.stdout.isatty() else _WIDTH_ELSEWHERE
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)


def printable(text: str) -> str:
    """Replace control characters: what cameras send must not steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return format_time(value)[:-8] + "Z"
    return "" if value is None else str(value)


def _plain(value: Any) -> str:
    return format_time(value) if isinstance(value, datetime) else str(value)
