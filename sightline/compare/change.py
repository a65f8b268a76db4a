"""What changed between the two results of one frame."""

from dataclasses import dataclass
from typing import Final

from sightline.compare.matching import Matching, match_found
from sightline.compare.pair import Pair, Side

# On the scale of scores, 0 to 100: what makes a picture one of those that changed most.
_ANSWER_WEIGHT: Final = 100.0
_FULL: Final = 100.0
_SHIFT_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Rules:
    """`iou`: from which overlap on two boxes are one object. `score_drop`: by how much a score may fall unnoticed."""

    iou: float = 0.5
    score_drop: float = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """One frame that has a result on both sides. Shifts are new minus old, None where one of the two has no number."""

    frame_id: str
    source: str
    old: Side
    new: Side
    identical: bool
    copied: bool
    matching: Matching
    score_shift: float | None
    probability_shift: float | None
    worse: bool
    weight: float

    @property
    def verdict_changed(self) -> bool:
        """Tell whether the verdicts differ; none is a verdict of its own."""
        return self.old.verdict != self.new.verdict

    @property
    def label_changed(self) -> bool:
        """Tell whether the picture is classified otherwise."""
        return self.old.label != self.new.label

    @property
    def answer_changed(self) -> bool:
        """Tell whether verdict or label changed."""
        return self.verdict_changed or self.label_changed


def change_of(pair: Pair, old: Side, new: Side, rules: Rules) -> Change:
    """Compare the two sides of a frame.

    A frame is worse when its score fell by more than `score_drop`, a detection was lost, or verdict or label changed
    while its score did not rise. Whether it is really worse only a person or a label can tell.
    """
    matching = match_found(old.found, new.found, rules.iou)
    score = _shift(old.score, new.score)
    probability = _shift(old.probability, new.probability) if old.label == new.label else None
    answer = old.verdict != new.verdict or old.label != new.label
    fell = score is not None and score < -rules.score_drop
    worse = fell or bool(matching.lost) or (answer and not (score or 0.0) > 0)
    weight = (
        _ANSWER_WEIGHT * answer + abs(score or 0.0) + _FULL * (abs(probability or 0.0) + _moved(old, new, matching))
    )
    return Change(
        pair.frame_id, pair.source, old, new, pair.identical, pair.copied, matching, score, probability, worse, weight
    )  # fmt: skip


def _moved(old: Side, new: Side, matching: Matching) -> float:
    """Sum how sure the detections were that came or went, and by how much the others became surer or less sure."""
    return (
        sum(old.found[place].confidence for place in matching.lost)
        + sum(new.found[place].confidence for place in matching.gained)
        + sum(abs(new.found[j].confidence - old.found[i].confidence) for i, j in matching.matched)
    )


def _shift(old: float | None, new: float | None) -> float | None:
    # Both come from decimals: a fall by just the points that are allowed must not be a little more for being binary.
    return None if old is None or new is None else round(new - old, _SHIFT_DIGITS)
