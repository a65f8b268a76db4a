r"""PostgreSQL's text forms of values: of rows for COPY, and of arrays.

For COPY: tab between columns, newline after a row, `\N` for null.

Backslash, tab, newline and carriage return are the only characters with a meaning there (documentation of
COPY, "Text Format"). What the database cannot hold (NUL, a lone surrogate) is left for it to refuse.
"""

from collections.abc import Iterable
from datetime import datetime

NULL = "\\N"


def text(value: str | None) -> str:
    """Write a text column."""
    if value is None:
        return NULL
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "\n" in value:
        value = value.replace("\n", "\\n")
    if "\t" in value:
        value = value.replace("\t", "\\t")
    if "\r" in value:
        value = value.replace("\r", "\\r")
    return value


def number(value: float | None) -> str:
    """Write a number of any column type."""
    return NULL if value is None else repr(value)


def moment(value: datetime) -> str:
    """Write a time that has a zone."""
    return value.isoformat(" ")


def array(values: Iterable[str]) -> str:
    """Write an array of texts as one literal.

    psycopg2 would write it as an expression of as many constants, which takes the server twice as long to read.
    """
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join([f'"{value}"' for value in quoted]) + "}"
