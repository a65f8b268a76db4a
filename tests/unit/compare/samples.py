"""Pairs of results as a replay and the live worker give them."""

from collections.abc import Iterable
from typing import Any

from schemas.result import Detection, Result
from sightline.compare.change import Change, Rules, change_of
from sightline.compare.comparison import Comparison
from sightline.compare.pair import Pair, side_of
from tests.unit.sinks.samples import make_result

RULES = Rules()


def detection(name: str, left: float, confidence: float = 0.9, size: float = 10.0) -> Detection:
    box = [left, 0.0, left + size, size]
    return Detection(class_name=name, class_id=len(name), confidence=confidence, bbox=box)


def result(number: int = 0, **changes: Any) -> Result:
    """A result that says nothing but what is asked for."""
    bare: dict[str, Any] = {"verdict": None, "score": None, "detections": None, "classification": None, "quality": None}
    return make_result(number, **{**bare, **changes})


def pair(old: Result | None, new: Result | None, *, copied: bool = False) -> Pair:
    known = old or new
    assert known is not None
    sides = [None if one is None else side_of(one) for one in (old, new)]
    return Pair(known.frame_id, known.source, sides[0], sides[1], identical=old == new, copied=copied)


def change(old: Result, new: Result, rules: Rules = RULES) -> Change:
    return change_of(pair(old, new), side_of(old), side_of(new), rules)


def compared(pairs: Iterable[Pair], *, rules: Rules = RULES, most: int = 5) -> Comparison:
    comparison = Comparison(rules, most)
    for one in pairs:
        comparison.add(one)
    return comparison
