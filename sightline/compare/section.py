"""The figures of one group of frames, as tables and charts of the page."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeVar

from sightline.compare.charts import Bar, bar_chart, histogram, key
from sightline.compare.facts import changed_answers
from sightline.compare.shifts import Shifts
from sightline.compare.tally import Tally
from sightline.page import table

Row = TypeVar("Row")
_ROWS: Final = 40  # of a table; the JSON has all


def group_section(name: str, tally: Tally) -> str:
    """Return the section of one group of frames."""
    if not tally.frames:
        return f'<h2>{name}</h2><p class="note">None.</p>'
    parts = [
        f"<h2>{name}</h2>", _totals(tally), _answers("Verdicts", tally.verdicts), _answers("Labels", tally.labels),
        _checks(tally), _numbers(tally), _classes(tally), _cameras(tally),
    ]  # fmt: skip
    return "".join(parts)


def _totals(tally: Tally) -> str:
    found = tally.detections
    rows = [
        ("frames", f"{tally.frames:,}", ""),
        ("the same to the last digit", f"{tally.identical:,}", per_cent(tally.identical / tally.frames)),
        ("verdict or label changed", f"{tally.answers_changed:,}", per_cent(tally.changed_share)),
        ("worse", f"{tally.worse:,}", per_cent(tally.worse_share)),
    ]
    if found.old or found.new:
        rows += [
            ("detections, old", f"{found.old:,}", ""),
            ("detections, new", f"{found.new:,}", ""),
            ("lost", f"{found.lost:,}", per_cent(tally.lost_share)),
            ("gained", f"{found.gained:,}", per_cent(tally.gained_share)),
            ("lost to another class", f"{found.reclassified:,}", ""),
            ("largest move of a box's edge", f"{tally.largest_box_shift:.2f} px", ""),
        ]
    return table(("", "number", "share"), rows)


def _answers(name: str, answers: Counter[tuple[str | None, str | None]]) -> str:
    changed = changed_answers(answers)
    bars = [Bar(f"{old} → {new}", [("changed", count)], f"{count:,}") for old, new, count in first(changed)]
    return bar_chart(f"{name} that changed", bars) + more(len(changed))


def _checks(tally: Tally) -> str:
    rows = [
        (name, one.compared, one.now_passed, one.now_failed)
        for name, one in sorted(tally.checks.items())
        if one.now_passed or one.now_failed
    ]
    return table(("check", "compared", "passes now", "fails now"), rows)


def _numbers(tally: Tally) -> str:
    kinds = (
        ("score", tally.scores, ".1f"),
        ("probability of the same label", tally.probabilities, ".4f"),
        ("confidence of matched detections", tally.confidences, ".4f"),
    )
    rows = [_number_row(name, shifts, form) for name, shifts, form in kinds if shifts.means.count]
    names = ("shift of", "compared", "moved", "mean", "half within", "95 % within", "largest fall", "largest rise")
    charts = "".join(histogram(f"Shift of {name}", shifts) for name, shifts, _ in kinds)
    return table(names, rows) + charts


def _number_row(name: str, shifts: Shifts, form: str) -> tuple[str | int, ...]:
    means = shifts.means
    ends = (_extreme(shifts.fall, form), _extreme(shifts.rise, form))
    sizes = (f"± {shifts.at_share(0.5):{form}}", f"± {shifts.at_share(0.95):{form}}")
    return (name, means.count, shifts.moved, f"{means.mean:+.4f}", *sizes, *ends)


def _extreme(extreme: tuple[float, str] | None, form: str) -> str:
    return "-" if extreme is None else f"{extreme[0]:+{form}} ({extreme[1]})"


def _classes(tally: Tally) -> str:
    ordered = sorted(tally.classes.items(), key=lambda item: (-(item[1].lost + item[1].gained), item[0]))
    if not ordered:
        return ""
    bars = [
        Bar(name, [("same", one.matched), ("lost", one.lost), ("gained", one.gained)], f"-{one.lost:,} +{one.gained:,}")
        for name, one in first(ordered)
    ]
    rows = [
        (name, one.old, one.new, one.matched, one.lost, one.gained, one.reclassified, f"{one.confidence.mean:+.4f}")
        for name, one in first(ordered)
    ]
    names = ("class", "old", "new", "matched", "lost", "gained", "to another class", "mean shift of confidence")
    meaning = (("same", "matched"), ("lost", "lost"), ("gained", "gained"))
    return bar_chart("Detections by class", bars) + key(meaning) + table(names, rows) + more(len(ordered))


def _cameras(tally: Tally) -> str:
    ordered = sorted(
        tally.cameras.items(), key=lambda item: (-(item[1].changed + item[1].lost + item[1].gained), item[0])
    )
    bars = [
        Bar(name, [("changed", one.changed), ("same", one.frames - one.changed)], f"{one.changed:,} of {one.frames:,}")
        for name, one in first(ordered)
    ]
    rows = [
        (name, one.frames, one.changed, one.worse, one.lost, one.gained, _mean(one.score.count, one.score.mean))
        for name, one in first(ordered)
    ]
    names = ("camera", "frames", "changed", "worse", "lost", "gained", "mean shift of score")
    meaning = (("changed", "verdict or label changed"), ("same", "the same"))
    return bar_chart("Frames by camera", bars) + key(meaning) + table(names, rows) + more(len(ordered))


def _mean(count: int, mean: float) -> str:
    return f"{mean:+.2f}" if count else "-"


def per_cent(value: float) -> str:
    """Write a share for people; what is above 0 never reads as 0."""
    return f"{value * 100:.2f} %" if value == 0 or value >= 0.0001 else "< 0.01 %"  # noqa: PLR2004


def first(rows: Sequence[Row]) -> Sequence[Row]:
    """Return as many rows as a page shows."""
    return rows[:_ROWS]


def more(count: int) -> str:
    """Say how many rows are left out, if any."""
    return f'<p class="note">and {count - _ROWS:,} more, which the JSON has</p>' if count > _ROWS else ""
