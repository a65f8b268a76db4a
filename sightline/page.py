"""One HTML page that needs no other file: its frame, its style, its tables, pictures inside it."""

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Final

_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1c2530; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid #cdd5de; padding-top: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #cdd5de; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.passed { color: #0b6b3a; }
.failed { color: #b3261e; font-weight: 600; }
.note { color: #55606c; }
figure { margin: 1.2rem 0; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
img { width: 100%; border: 1px solid #cdd5de; }
figcaption { font-size: .9rem; overflow-wrap: anywhere; }
"""


def page(title: str, body: str, style: str = "") -> str:
    """Return the whole page. `title` is text, `body` HTML, `style` is added to the page's own."""
    shown = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{shown}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}{style}</style></head><body>'
        f"<h1>{shown}</h1>{body}</body></html>\n"
    )


def passed_or_failed(passed: bool) -> str:  # noqa: FBT001  # the one thing it is about
    """Return the HTML word."""
    return '<span class="passed">passed</span>' if passed else '<span class="failed">failed</span>'


def heads(names: Iterable[str]) -> str:
    """Return the cells of a table's head."""
    return "".join(f"<th>{html.escape(name)}</th>" for name in names)


def table(names: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """Return a table of text and numbers, nothing where it has no row."""
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{heads(names)}</tr>{body}</table>" if body else ""


def picture_address(jpeg: bytes) -> str:
    """Return an address that holds the picture itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _cell(cell: str | float) -> str:
    if isinstance(cell, str):
        return f"<td>{html.escape(cell)}</td>"
    return f'<td class="number">{cell:,}</td>'
