"""Charts as SVG inside the page: sharp at any size, and nothing to load."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sightline.compare.shifts import Shifts

# Told apart also by people who confuse red and green (Okabe and Ito's set); names are of the page's style.
STYLE: Final = """
svg { display: block; max-width: 100%; height: auto; margin: .6rem 0; font: 12px system-ui, sans-serif; }
svg text { fill: #1c2530; } svg .axis { stroke: #8a96a3; } svg .grid { stroke: #e3e8ed; }
.same { fill: #b9c4cf; background: #b9c4cf; } .gained { fill: #009e73; background: #009e73; }
.lost { fill: #d55e00; background: #d55e00; } .changed { fill: #0072b2; background: #0072b2; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .35em 0 1em; }
"""
_WIDTH: Final = 900
_NAMES: Final = 230  # what names at the left have room for
_ROW: Final = 22
_LONGEST: Final = 34
_BINS: Final = 41
_HEIGHT: Final = 180
_LABELLED: Final = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a chart: parts are (class of the style, number), one behind the other; `note` stands at the end."""

    name: str
    parts: Sequence[tuple[str, int]]
    note: str


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """Draw horizontal bars on one scale, nothing where there is none."""
    longest = max((sum(number for _, number in bar.parts) for bar in bars), default=0)
    if not longest:
        return ""
    room = _WIDTH - _NAMES - 150
    rows = "".join(_bar(bar, place * _ROW, room / longest) for place, bar in enumerate(bars))
    return _svg(title, len(bars) * _ROW + 4, rows)


def histogram(title: str, shifts: Shifts) -> str:
    """Draw how many shifts there are of each size; those of exactly 0 are left out and said. Nothing if none moved."""
    if not shifts.moved:
        return ""
    unmoved = shifts.counts[0.0]
    bars = [(low, high, count - unmoved if low <= 0 < high else count) for low, high, count in shifts.bars(_BINS)]
    most = max(count for _, _, count in bars)
    width = (_WIDTH - 80) / len(bars)
    columns = "".join(
        _column(40 + place * width, width, count / most, low, high, count)
        for place, (low, high, count) in enumerate(bars)
    )
    ticks = "".join(_tick(bars, place, width) for place in range(0, len(bars), (len(bars) - 1) // (_LABELLED * 2 - 2)))
    axis = f'<line class="axis" x1="40" x2="{_WIDTH - 40}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
    top = f'<text x="34" y="14" text-anchor="end">{most:,}</text>'
    return _svg(
        f"{title}; {unmoved:,} of {shifts.means.count:,} did not move", _HEIGHT + 24, axis + columns + ticks + top
    )


def key(entries: Sequence[tuple[str, str]]) -> str:
    """Return what the colours mean: (class of the style, meaning)."""
    shown = "".join(f'<span class="key {name}"></span>{html.escape(meaning)}' for name, meaning in entries)
    return f'<p class="note">{shown}</p>'


def _bar(bar: Bar, y: int, scale: float) -> str:
    x = float(_NAMES)
    drawn = [f'<text x="{_NAMES - 8}" y="{y + 15}" text-anchor="end">{html.escape(_short(bar.name))}</text>']
    for name, number in bar.parts:
        drawn.append(f'<rect class="{name}" x="{x:.1f}" y="{y + 3}" width="{number * scale:.1f}" height="{_ROW - 6}"/>')
        x += number * scale
    drawn.append(f'<text x="{x + 6:.1f}" y="{y + 15}">{html.escape(bar.note)}</text>')
    return f"<g><title>{html.escape(bar.name)}</title>{''.join(drawn)}</g>"


def _column(x: float, width: float, share: float, low: float, high: float, count: int) -> str:
    height = share * (_HEIGHT - 10)
    name = "lost" if high <= 0 else "gained" if low >= 0 else "same"
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{_HEIGHT - height:.1f}" width="{max(width - 1, 1):.1f}" '
        f'height="{height:.1f}"><title>{low:+.4g} to {high:+.4g}: {count:,}</title></rect>'
    )


def _tick(shown: Sequence[tuple[float, float, int]], place: int, width: float) -> str:
    low, high, _ = shown[place]
    x = 40 + (place + 0.5) * width
    middle = (low + high) / 2
    return f'<text x="{x:.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{middle:+.3g}</text>'


def _svg(title: str, height: int, content: str) -> str:
    shown = html.escape(title)
    return (
        f'<p><b>{shown}</b></p><svg role="img" aria-label="{shown}" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}">{content}</svg>'
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else "…" + name[-_LONGEST + 1 :]
