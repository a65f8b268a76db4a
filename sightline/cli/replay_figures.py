"""A comparison's figures as `sightline replay compare` prints them for people."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sightline.cli.output import print_line, print_table
from sightline.compare.comparison import Comparison
from sightline.compare.facts import About, changed_answers
from sightline.compare.limits import Verdict
from sightline.compare.section import per_cent
from sightline.compare.tally import Tally

_LINES: Final = 20


def print_comparison(
    comparison: Comparison, about: About, verdicts: Sequence[Verdict], failed: Mapping[str, int]
) -> None:
    """Write the figures; `failed` counts the replay's dead letters by code."""
    print_line(f"replay {about.replay_id} against {about.against}")
    alone = f"{comparison.only_old.total()} old only, {comparison.only_new.total()} new only"
    skipped = f"{comparison.skipped_old} and {comparison.skipped_new} skipped, {sum(failed.values())} failed"
    print_line(f"{comparison.frames} frames compared; {alone}; {skipped}")
    _print_tally("original bytes", comparison.originals)
    if comparison.copies.frames:
        _print_tally("analysed from copies", comparison.copies)
    for one in verdicts:
        print_line(
            f"{'kept' if one.held else 'BROKEN'}: {one.what} {per_cent(one.seen)}, at most {per_cent(one.at_most)}"
        )


def _print_tally(name: str, tally: Tally) -> None:
    found, scores = tally.detections, tally.scores
    print_line("")
    print_line(f"{name}: {tally.frames} frames, {tally.identical} the same to the last digit")
    print_line(f"  verdict or label changed {tally.answers_changed} ({per_cent(tally.changed_share)}), "
               f"worse {tally.worse} ({per_cent(tally.worse_share)})")  # fmt: skip
    if found.old or found.new:
        print_line(f"  detections {found.old} -> {found.new}: lost {found.lost} ({per_cent(tally.lost_share)}), "
                   f"gained {found.gained}, to another class {found.reclassified}")  # fmt: skip
    if scores.means.count:
        print_line(f"  score moved in {scores.moved}: mean {scores.means.mean:+.3f}, "
                   f"from {scores.means.lowest:+.1f} to {scores.means.highest:+.1f}")  # fmt: skip
    for kind, answers in (("VERDICT", tally.verdicts), ("LABEL", tally.labels)):
        _print_rows((f"OLD {kind}", f"NEW {kind}", "FRAMES"), changed_answers(answers))
    classes = sorted(tally.classes.items(), key=lambda item: (-(item[1].lost + item[1].gained), item[0]))
    _print_rows(
        ("CLASS", "OLD", "NEW", "LOST", "GAINED", "CONFIDENCE"),
        [(name, one.old, one.new, one.lost, one.gained, f"{one.confidence.mean:+.4f}") for name, one in classes],
    )
    cameras = sorted(tally.cameras.items(), key=lambda item: (-item[1].changed, -item[1].worse, item[0]))
    _print_rows(
        ("CAMERA", "FRAMES", "CHANGED", "WORSE", "LOST", "GAINED"),
        [(name, one.frames, one.changed, one.worse, one.lost, one.gained) for name, one in cameras],
    )


def _print_rows(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if rows:
        print_table(columns, rows[:_LINES])
    if len(rows) > _LINES:
        print_line(f"and {len(rows) - _LINES} more; --json has all")
