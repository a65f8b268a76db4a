"""A comparison as JSON holds it. Shares are from 0 to 1; shifts are new minus old."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sightline.compare.change import Change
from sightline.compare.comparison import Comparison
from sightline.compare.limits import Verdict
from sightline.compare.pair import Found
from sightline.compare.shifts import Means, Shifts
from sightline.compare.tally import Answers, Detections, Tally

_DECIMALS: Final = 6
_MEDIAN, _NEARLY_ALL = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class About:
    """What was compared."""

    replay_id: str
    against: str  # live, or another replay's id
    pipelines: tuple[str, ...]
    old_pipeline: str | None  # of the live results


def comparison_facts(comparison: Comparison, about: About, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return everything but the pictures."""
    return {
        "replay_id": about.replay_id,
        "against": about.against,
        "pipelines": list(about.pipelines),
        "old_pipeline": about.old_pipeline,
        "iou": comparison.rules.iou,
        "score_drop": comparison.rules.score_drop,
        "frames": {
            "compared": comparison.frames,
            "copies": comparison.copies.frames,
            "only_old": comparison.only_old.total(),
            "only_new": comparison.only_new.total(),
            "skipped_old": comparison.skipped_old,
            "skipped_new": comparison.skipped_new,
            "missing_share": _rounded(comparison.missing_share),
        },
        "only_old_by_source": dict(sorted(comparison.only_old.items())),
        "only_new_by_source": dict(sorted(comparison.only_new.items())),
        "originals": tally_facts(comparison.originals),
        "copies": tally_facts(comparison.copies),
        "most_changed": [_change_facts(change) for change in comparison.most_changed()],
        "limits": [
            {"name": one.name, "at_most": one.at_most, "seen": _rounded(one.seen), "held": one.held} for one in verdicts
        ],
    }


def tally_facts(tally: Tally) -> dict[str, Any]:
    """Return the figures of one group of frames."""
    return {
        "frames": tally.frames,
        "identical": tally.identical,
        "answers_changed": tally.answers_changed,
        "changed_share": _rounded(tally.changed_share),
        "worse": tally.worse,
        "worse_share": _rounded(tally.worse_share),
        "verdicts": _answers(tally.verdicts),
        "labels": _answers(tally.labels),
        "score": _shift_facts(tally.scores),
        "probability": _shift_facts(tally.probabilities),
        "checks": {
            name: {"compared": one.compared, "now_passed": one.now_passed, "now_failed": one.now_failed}
            for name, one in sorted(tally.checks.items())
        },
        "detections": {
            **_detections(tally.detections),
            "lost_share": _rounded(tally.lost_share),
            "gained_share": _rounded(tally.gained_share),
            "confidence": _shift_facts(tally.confidences),
            "largest_box_shift_px": _rounded(tally.largest_box_shift),
        },
        "classes": {
            name: {**_detections(one), "confidence": _means(one.confidence)}
            for name, one in sorted(tally.classes.items())
        },
        "sources": {
            name: {
                "frames": one.frames, "answers_changed": one.changed, "worse": one.worse, "lost": one.lost,
                "gained": one.gained, "score": _means(one.score),
            }
            for name, one in sorted(tally.cameras.items())
        },
    }  # fmt: skip


def changed_answers(answers: dict[Answers, int]) -> list[tuple[str, str, int]]:
    """Return what became what, the commonest first; what stayed the same is left out."""
    rows = [(before or "none", after or "none", count) for (before, after), count in answers.items() if before != after]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def _answers(answers: dict[Answers, int]) -> list[dict[str, Any]]:
    ordered = sorted(answers.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))
    return [{"old": old, "new": new, "frames": count} for (old, new), count in ordered if (old, new) != (None, None)]


def _detections(one: Detections) -> dict[str, int]:
    names = ("old", "new", "matched", "lost", "gained", "reclassified")
    return {name: getattr(one, name) for name in names}


def _means(means: Means) -> dict[str, Any]:
    return {
        "count": means.count,
        "mean": _rounded(means.mean),
        "lowest": _rounded(means.lowest),
        "highest": _rounded(means.highest),
    }


def _shift_facts(shifts: Shifts) -> dict[str, Any]:
    return {
        **_means(shifts.means),
        "moved": shifts.moved,
        "median_size": shifts.at_share(_MEDIAN),
        "p95_size": shifts.at_share(_NEARLY_ALL),
        "largest_fall": _extreme(shifts.fall),
        "largest_rise": _extreme(shifts.rise),
    }


def _extreme(extreme: tuple[float, str] | None) -> dict[str, Any] | None:
    return None if extreme is None else {"shift": extreme[0], "frame_id": extreme[1]}


def _change_facts(change: Change) -> dict[str, Any]:
    matching = change.matching
    return {
        "frame_id": change.frame_id,
        "source": change.source,
        "copied": change.copied,
        "weight": _rounded(change.weight),
        "worse": change.worse,
        "verdict": [change.old.verdict, change.new.verdict],
        "score": [change.old.score, change.new.score],
        "label": [change.old.label, change.new.label],
        "lost": [_found(change.old.found[place]) for place in matching.lost],
        "gained": [_found(change.new.found[place]) for place in matching.gained],
        "result_ids": [change.old.result_id, change.new.result_id],
    }


def _found(found: Found) -> dict[str, Any]:
    return {"class": found.class_name, "confidence": found.confidence, "bbox": list(found.bbox)}


def _rounded(value: float) -> float:
    return round(value, _DECIMALS)
