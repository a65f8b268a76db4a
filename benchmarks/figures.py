"""A measured figure, and the file that holds them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `divided_by` says what a ratio is relative to; `note` how it was taken."""

    name: str
    value: float
    unit: str
    goal: str
    divided_by: str | None = None
    note: str | None = None

    def line(self) -> str:
        """Return the figure for a terminal."""
        goal = f"   (goal {self.goal})" if self.goal else ""
        return f"{self.name:<58} {self.value:>10.3f} {self.unit}{goal}"


def write(figures: list[Figure]) -> None:
    """Replace the figures of these names in `results.json`; others stay."""
    known = {entry["name"]: entry for entry in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    known.update({figure.name: asdict(figure) | {"value": round(figure.value, 3)} for figure in figures})
    RESULTS.write_text(json.dumps(list(known.values()), indent=2) + "\n", encoding="utf-8")
