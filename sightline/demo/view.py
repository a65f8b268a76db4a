"""What the demo shows while it runs: as a live picture on a terminal, as plain lines elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.deadletter import DeadLetter
from schemas.errors import Code
from schemas.result import Check, Result
from sightline.demo.tally import Books
from sightline.demo.watch import Progress

_COLOURS = {"accepted": "green", "rejected": "red"}
_LEVELS = {"excellent": "bold green", "good": "green", "fair": "yellow", "poor": "red"}
_PROBLEM = "yellow"
_CODE_WIDTH = max(len(code) for code in Code)
_MOST_LETTERS, _LEAST_ROWS = 8, 3
# Lines that are always there: frame, figures, two headings with their tables' heads, blank ones between.
_FIXED_LINES = 13
_ROOM_FOR_HINTS = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """All that one picture shows. `hints` says what to look at next."""

    elapsed_s: float
    books: Books
    progress: Progress
    hints: tuple[tuple[str, str], ...]
    state: str = "Ctrl-C ends"


def picture(shown: Shown, height: int) -> RenderableType:
    """Draw everything, in at most `height` lines where there is room for the least."""
    room = height - _FIXED_LINES
    hints = shown.hints if room >= _ROOM_FOR_HINTS else shown.hints[:1]
    room = max(room - len(hints) - 1, 2 * _LEAST_ROWS)
    letters = min(max(room // 3, _LEAST_ROWS), _MOST_LETTERS)
    minutes, seconds = divmod(int(shown.elapsed_s), 60)
    return Panel(
        Group(
            _figures(shown),
            Text(),
            Text("Results", style="bold"),
            _results(shown.books.newest_results[: room - letters]),
            Text(),
            Text("Dead letters", style="bold"),
            _letters(shown.books.newest_letters[:letters]),
            Text(),
            _hints(hints),
        ),
        title="[bold]sightline demo[/bold]: civic photo quality",
        subtitle=f"{minutes:02}:{seconds:02}, {shown.state}",
        border_style="cyan",
    )


def line(shown: Shown) -> str:
    """Say where things stand in one line."""
    books, progress = shown.books, shown.progress
    return (
        f"{shown.elapsed_s:4.0f} s: sent {books.sent}, results {books.results}, dead letters {books.dead_letters},"
        f" in flight {books.in_flight}, rows {progress.rows}, objects {progress.objects};"
        f" {books.rate:.1f} answers/s, latency {latency(books)}"
    )


def latency(books: Books) -> str:
    """Say half of the frames' and nearly all frames' time from being sent to being answered."""
    times_ms = sorted(1000 * latency_s for latency_s in books.latencies_s)
    if not times_ms:
        return "not known yet"
    p50, p95 = (times_ms[min(int(len(times_ms) * share), len(times_ms) - 1)] for share in (0.50, 0.95))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms"


def _figures(shown: Shown) -> RenderableType:
    books, progress = shown.books, shown.progress
    first = Text()
    for number, words, style in (
        (books.sent, "sent", "bold"),
        (books.results, "results", "bold green"),
        (books.dead_letters, "dead letters", f"bold {_PROBLEM}"),
        (books.in_flight, "in flight", "bold"),
        (progress.rows, "rows", "bold cyan"),
        (progress.objects, "objects", "bold cyan"),
    ):
        first.append(f"{number}", style=style).append(f" {words}   ")
    second = Text(f"{books.rate:.1f} answers/s   latency {latency(books)} from sent to answered", style="dim")
    return Group(first, second)


def _results(rows: Iterable[tuple[str, str, Result]]) -> Table:
    table = _table(
        ("camera", 20, None),
        ("picture", 30, None),
        ("verdict", 0, 8),
        ("score", 0, 5),
        ("level", 0, 9),
        ("failed checks", 42, None),
    )
    for camera, name, result in rows:
        verdict, quality = result.verdict or "", result.quality
        table.add_row(
            Text(_plain(camera)),
            Text(name),
            Text(verdict, style=_COLOURS.get(verdict, "")),
            Text(f"{result.score:.1f}" if result.score is not None else "", justify="right"),
            Text(quality.level, style=_LEVELS.get(quality.level, "")) if quality else "",
            Text(_failed(quality.checks if quality else []), style=_PROBLEM),
        )
    return table


def _letters(rows: Iterable[tuple[str, str, DeadLetter]]) -> Table:
    table = _table(("camera", 20, None), ("picture", 20, None), ("code", 0, _CODE_WIDTH), ("reason", 60, None))
    for camera, name, letter in rows:
        table.add_row(Text(_plain(camera)), Text(name), Text(letter.code, style=_PROBLEM), Text(letter.reason))
    return table


def _table(*columns: tuple[str, int, int | None]) -> Table:
    """Make a table of columns with a share, or with a width of their own: whatever stands in them, nothing jumps."""
    table = Table(box=SIMPLE_HEAD, expand=True, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    for name, share, width in columns:
        table.add_column(name, ratio=share or None, width=width, no_wrap=True, overflow="ellipsis")
    return table


def _hints(hints: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for what, command in hints:
        table.add_row(Text(what, style="dim"), Text(command, overflow="fold"))
    return table


def _plain(text: str) -> str:
    """Replace control characters: what others send must not steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _failed(checks: Iterable[Check]) -> str:
    return ", ".join(check.name for check in checks if not check.passed)
