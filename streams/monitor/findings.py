"""What a rule says at one moment, and what a rule is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal, Protocol

from streams.monitor.state import State

Severity = Literal["warning", "critical"]
# The subject of a rule that looks at the pipeline as a whole.
WHOLE = ""


class Verdict(Enum):
    """BAD raises an alert, GOOD that lasts resolves it; between the two thresholds neither happens."""

    BAD = auto()
    BETWEEN = auto()
    GOOD = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found about one subject, with its evidence as JSON values."""

    subject: str
    verdict: Verdict
    summary: str
    facts: dict[str, Any] = field(default_factory=dict)
    severity: Severity = "warning"


class Rule(Protocol):
    """One thing that is watched. A rule keeps nothing itself: state and episodes are all it goes by."""

    @property
    def name(self) -> str:
        """The rule's name on alerts."""
        ...

    def judge(self, state: State, now_ms: int, firing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """Yield findings as of `now_ms`. `firing` has the facts of each alert of this rule that is on, by subject.

        A subject that is not mentioned stays as it is.
        """
        ...


def by_thresholds(value: float, bad_from: float, good_to: float) -> Verdict:
    """Judge a value that is bad when high. The gap between the two thresholds keeps an alert from flapping."""
    if value >= bad_from:
        return Verdict.BAD
    return Verdict.GOOD if value <= good_to else Verdict.BETWEEN
