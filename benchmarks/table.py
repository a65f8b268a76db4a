"""The figures of `results.json` as a table in README.md: `python -m benchmarks.table [--check]`.

Only what stands between the two markers is written. With `--check` nothing is; the exit code is 1 when it differs.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import RESULTS

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)
_NOT_MEASURED = "The figures of this release are not measured yet; `make bench` measures them.\n"
_INTRODUCTION = "Measured by `make bench`, each ratio within one run:\n"


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table, one line a figure; without figures a sentence that says so."""
    if not figures:
        return _NOT_MEASURED
    head = ["| figure | measured | goal | how |", "|---|---|---|---|"]
    return "\n".join([_INTRODUCTION, *head, *map(_line, figures)]) + "\n"


def fill(text: str, figures: Sequence[Mapping[str, Any]]) -> str:
    """Return `text` with the table between its markers. Raises ValueError when they are not there exactly once."""
    filled, count = _BLOCK.subn(lambda found: f"{found[1]}{table(figures)}{found[2]}", text)
    if count != 1:
        raise ValueError(f"one block of figures is wanted, {count} are there")
    return filled


def main(arguments: Sequence[str], readme: Path = README, results: Path = RESULTS) -> int:
    """Write or check the table; return the exit code."""
    figures = json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
    text = readme.read_text(encoding="utf-8")
    filled = fill(text, figures)
    if "--check" in arguments:
        if filled != text:
            print(f"{readme.name} is not what {results.name} says: python -m benchmarks.table", file=sys.stderr)
        return int(filled != text)
    readme.write_text(filled, encoding="utf-8")
    return 0


def _line(figure: Mapping[str, Any]) -> str:
    measured = f"{_rounded(figure['value'])} {figure['unit']}"
    return (
        "| "
        + " | ".join(_cell(text or "") for text in (figure["name"], measured, figure["goal"], figure["note"]))
        + " |"
    )


def _rounded(value: float) -> str:
    """Three digits are what such measurements are worth."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
