"""Writes the measured figures of all models into the README."""

import json
from typing import Any

from demo_models.making.subjects import DESCRIPTIONS, ROOT, folder_of

_BEGIN, _END = "<!-- figures: written by make.py -->", "<!-- end of figures -->"
_HEAD = (
    "| model | parameters | bytes | figure | unseen scenes | hardest fifth | one rule | trained in |",
    "|---|--:|--:|---|--:|--:|--:|--:|",
)


def write_figures() -> None:
    """Renew the table between the marks in the README from the reports that are there."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    readme.write_text(f"{before}{_BEGIN}\n{table()}\n{_END}{after}", encoding="utf-8")


def table() -> str:
    """Return the table of all models that have a report, in Markdown."""
    places = [(name, folder_of(name) / "report.json") for name in DESCRIPTIONS]
    reports = [(name, json.loads(place.read_text(encoding="utf-8"))) for name, place in places if place.exists()]
    return "\n".join([*_HEAD, *(_row(name, report) for name, report in reports)])


def _row(name: str, report: dict[str, Any]) -> str:
    key = "accuracy" if "accuracy" in report["overall"] else "mAP50"
    figures = [report[part][key] for part in ("overall", "hardest_fifth", "baseline")]
    words = [
        f"`{name}`",
        f"{report['parameters']:,}",
        f"{report['size_bytes']:,}",
        key,
        *(f"{figure:.3f}" for figure in figures),
        f"{report['training_s'] / 60:.0f} min",
    ]
    return f"| {' | '.join(words)} |"
