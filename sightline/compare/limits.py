"""How much may change before a comparison fails."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import ConfigurationError
from sightline.compare.comparison import Comparison
from sightline.compare.tally import Tally

_SHARES: Final[Mapping[str, tuple[str, Callable[[Tally], float]]]] = {
    "changed": ("frames whose verdict or label changed", lambda tally: tally.changed_share),
    "worse": ("frames that are worse", lambda tally: tally.worse_share),
    "lost": ("old detections lost", lambda tally: tally.lost_share),
    "gained": ("new detections that were not there", lambda tally: tally.gained_share),
}
MISSING: Final = "missing"
NAMES: Final = (*_SHARES, MISSING)
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(%?)", re.ASCII)
_PER_CENT: Final = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """One limit, and how far it was used: shares from 0 to 1."""

    name: str
    what: str
    at_most: float
    seen: float

    @property
    def held(self) -> bool:
        """Tell whether the limit was kept; exactly at it is within."""
        return self.seen <= self.at_most


def parse_share(option: str, text: str) -> float:
    """Read `2%` or `0.02`. Raises ConfigurationError that names the option."""
    match = _SHARE.fullmatch(text.strip())
    number = -1.0 if match is None else float(match[1]) / (_PER_CENT if match[2] else 1)
    if not 0 <= number <= 1:
        raise ConfigurationError(option, f"{text!r} is not a share such as 2% or 0.02")
    return number


def judge(comparison: Comparison, limits: Mapping[str, float], *, count_copies: bool) -> list[Verdict]:
    """Hold each limit against what was seen. Names are those of `NAMES`.

    Without `count_copies` a frame that was analysed from a copy counts for `missing` only. With it the larger one of
    the two shares counts, so that neither group can hide the other.
    """
    verdicts = []
    for name, at_most in limits.items():
        if name == MISSING:
            verdicts.append(Verdict(name, "old frames without a new answer", at_most, comparison.missing_share))
            continue
        what, measured = _SHARES[name]
        tallies = [comparison.originals, *([comparison.copies] if count_copies else [])]
        verdicts.append(Verdict(name, what, at_most, max(measured(tally) for tally in tallies)))
    return verdicts


def judged_frames(comparison: Comparison, *, count_copies: bool) -> int:
    """Return how many frames limits are held against; of none nothing can be said."""
    return comparison.frames if count_copies else comparison.originals.frames
