"""The page of a comparison. It needs no other file: style, charts and pictures are in it."""

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sightline.compare.change import Change
from sightline.compare.charts import STYLE
from sightline.compare.comparison import Comparison
from sightline.compare.facts import About
from sightline.compare.limits import Verdict
from sightline.compare.pair import Found
from sightline.compare.section import first, group_section, more, per_cent
from sightline.page import heads, page, passed_or_failed, picture_address, table

_NAMED: Final = 5
_STYLE: Final = STYLE + ".warning { background: #fff4e5; border-left: 4px solid #d55e00; padding: .5rem .8rem; }"


@dataclass(frozen=True, slots=True)
class Shown:
    """One of the frames that changed most: the two JPEGs, or why there are none; a headline for each side."""

    change: Change
    headlines: tuple[str, str]
    jpegs: tuple[bytes, bytes] | None
    missing: str = ""


def comparison_page(
    comparison: Comparison, about: About, verdicts: Sequence[Verdict], failed: Counter[str], shown: Iterable[Shown]
) -> str:
    """Return the whole page. `failed` counts the replay's dead letters by code."""
    title = f"Replay {about.replay_id} against {about.against}"
    groups = [("Frames of the original bytes", comparison.originals)]
    if comparison.copies.frames:
        groups.append(("Frames analysed from copies", comparison.copies))
    body = "".join([
        _intro(comparison, about),
        _limits(verdicts),
        _frames(comparison, failed),
        *(group_section(name, tally) for name, tally in groups),
        _pictures(shown),
    ])  # fmt: skip
    return page(title, body, _STYLE)


def _intro(comparison: Comparison, about: About) -> str:
    old = f"the live results of {about.old_pipeline}" if about.old_pipeline else f"replay {about.against}"
    pipelines = ", ".join(about.pipelines)
    rules = comparison.rules
    text = (
        f"New: replay {about.replay_id} ({pipelines}). Old: {old}. Detections are one object from an IoU of "
        f"{rules.iou:g} on, of the same class, the best overlap first. Shifts are new minus old. A frame is worse when "
        f"its score fell by more than {rules.score_drop:g}, a detection was lost, or its verdict or label changed "
        "while its score did not rise."
    )
    copies = comparison.copies.frames
    warning = (
        f'<p class="warning">{copies:,} of {comparison.frames:,} frames were analysed from a copy that is not what the '
        "camera sent, byte for byte. They are counted apart: what changed there may be the copy's doing.</p>"
        if copies
        else ""
    )
    return f"<p>{html.escape(text)}</p>{warning}"


def _limits(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(one.what)}</td><td>{per_cent(one.at_most)}</td><td>{per_cent(one.seen)}</td>"
        f"<td>{passed_or_failed(one.held)}</td></tr>"
        for one in verdicts
    )
    return f"<h2>Limits</h2><table><tr>{heads(('limit', 'at most', 'seen', ''))}</tr>{rows}</table>"


def _frames(comparison: Comparison, failed: Counter[str]) -> str:
    rows: list[tuple[str, int]] = [
        ("compared", comparison.frames),
        ("of these, analysed from a copy", comparison.copies.frames),
        ("with an old result only", comparison.only_old.total()),
        ("with a new result only", comparison.only_new.total()),
        ("skipped on the old side", comparison.skipped_old),
        ("skipped on the new side", comparison.skipped_new),
        *((f"failed in the replay: {code}", count) for code, count in failed.most_common()),
    ]
    alone = Counter(comparison.only_old) + Counter(comparison.only_new)
    cameras = [
        (source, comparison.only_old[source], comparison.only_new[source]) for source, _ in first(alone.most_common())
    ]
    return (
        f"<h2>Frames</h2>{table(('frames', 'number'), rows)}"
        f"{table(('camera', 'old result only', 'new result only'), cameras)}{more(len(alone))}"
    )


def _pictures(shown: Iterable[Shown]) -> str:
    figures = "".join(_figure(one) for one in shown)
    return f"<h2>What changed most</h2>{figures or '<p>Nothing changed.</p>'}"


def _figure(one: Shown) -> str:
    change = one.change
    notes = [f"frame {change.frame_id}", change.source]
    notes += ["analysed from a copy"] if change.copied else []
    notes += _named("lost", [change.old.found[place] for place in change.matching.lost])
    notes += _named("gained", [change.new.found[place] for place in change.matching.gained])
    notes += [f"score {change.score_shift:+.1f}"] if change.score_shift else []
    sides = zip(("old", "new"), one.headlines, one.jpegs or (None, None), strict=True)
    cells = "".join(f'<div><div class="note">{name}: {html.escape(text)}</div>{_image(name, jpeg)}</div>'
                    for name, text, jpeg in sides)  # fmt: skip
    missing = f'<p class="note">No picture: {html.escape(one.missing)}</p>' if one.jpegs is None else ""
    caption = html.escape("; ".join(notes))
    return f'<figure><div class="pair">{cells}</div>{missing}<figcaption>{caption}</figcaption></figure>'


def _named(what: str, found: Sequence[Found]) -> list[str]:
    if not found:
        return []
    listed = ", ".join(f"{one.class_name} {one.confidence:.2f}" for one in found[:_NAMED])
    return [f"{what} {listed}{f' and {len(found) - _NAMED} more' if len(found) > _NAMED else ''}"]


def _image(name: str, jpeg: bytes | None) -> str:
    return "" if jpeg is None else f'<img alt="{name}" src="{picture_address(jpeg)}">'
