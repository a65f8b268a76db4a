"""What became of one scenario, and the table of all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.audit import Evidence

_KINDS = {"lost": "lost", "double": "doubled", "missing": "missing_objects", "blamed": "blamed"}
_COLUMNS = {
    "scenario": "scenario",
    "seed": "seed",
    "frames": "frames",
    "faults": "faults",
    "results": "results",
    "dead_letters": "dead letters",
    "repeats": "repeats",
    "lost": "lost",
    "doubled": "doubled",
    "missing_objects": "missing objects",
    "blamed": "blamed",
    "others": "others",
    "seconds": "seconds",
    "verdict": "verdict",
}
_SHOWN = 20
_ALL = "all"


@dataclass
class Outcome:
    """One line of the table. `repeats` are second copies on topics, which kills may leave; no other number may rise.

    `blamed` counts dead letters of frames that could succeed: those that an outage or a kill has caused.
    """

    scenario: str
    seed: int
    frames: int = 0
    faults: int = 0
    results: int = 0
    dead_letters: int = 0
    repeats: int = 0
    lost: int = 0
    doubled: int = 0
    missing_objects: int = 0
    blamed: int = 0
    others: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return "WRONG" if self.findings else "sound"

    def add(self, evidence: Evidence, findings: Iterable[str]) -> None:
        """Count what an audit has seen, and what it has found."""
        live = [result for result in evidence.topic_results if result.get("variant", "live") == "live"]
        self.frames += len(evidence.published)
        self.results += len(evidence.result_rows)
        self.dead_letters += len(evidence.letter_rows)
        self.repeats += len(live) - len({result["result_id"] for result in live})
        self.repeats += len(evidence.topic_letters) - len({letter.dl_id for letter in evidence.topic_letters})
        for finding in findings:
            self.find(finding)

    def find(self, finding: str) -> None:
        """Note something that is wrong; its first word, up to a colon, says of what kind it is."""
        counter = _KINDS.get(finding.partition(":")[0], "others")
        setattr(self, counter, getattr(self, counter) + 1)
        self.findings.append(finding)

    def facts(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "seconds": round(self.seconds, 1), "verdict": self.verdict}


def outcome_of(facts: Mapping[str, Any]) -> Outcome:
    """Read what `Outcome.facts` returned."""
    return Outcome(**{name: value for name, value in facts.items() if name != "verdict"})


def total_of(outcomes: Sequence[Outcome], seed: int) -> Outcome:
    """Sum up; the findings of all stand behind one another."""
    total = Outcome(_ALL, seed, findings=[finding for outcome in outcomes for finding in outcome.findings])
    sums: Counter[str] = Counter()
    for outcome in outcomes:
        sums.update({name: value for name, value in asdict(outcome).items() if name not in {"scenario", "seed"}
                     and isinstance(value, int | float)})  # fmt: skip
    for name, value in sums.items():
        setattr(total, name, value)
    return total


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as aligned text, with what is wrong below."""
    lines = [list(_COLUMNS.values())]
    lines += [[str(outcome.facts()[name]) for name in _COLUMNS] for outcome in outcomes]
    widths = [max(len(line[place]) for line in lines) for place in range(len(_COLUMNS))]
    text = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(cells))
        for cells in (list(zip(line, widths, strict=True)) for line in lines)
    ]
    for outcome in (outcome for outcome in outcomes if outcome.scenario != _ALL):
        text += [f"{outcome.scenario}: {finding}" for finding in outcome.findings[:_SHOWN]]
    return "\n".join(text)
