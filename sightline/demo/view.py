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
from schemas.result import Result
from sightline.demo.books import Books, PipelineBooks, latency, percentile_ms
from sightline.demo.sample import CIVIC
from sightline.demo.watch import Progress
from sightline.demo.words import findings_of, verdict_of

_COLOURS = {"accepted": "green", "rejected": "red", "skipped": "yellow"}
_LEVELS = {"excellent": "bold green", "good": "green", "fair": "yellow", "poor": "red"}
_PROBLEM = "yellow"
_CODE_WIDTH = max(len(code) for code in Code)
_MOST_LETTERS, _LEAST_ROWS = 8, 3
# Besides the rows: frame, two lines of figures, a blank one.
_FIXED_LINES = 5
# A section's heading, its table's head and rule, and the blank line below.
_SECTION_LINES = 4
_ROOM_FOR_HINTS = 40


@dataclass(frozen=True, slots=True)
class Shown:
    """All that one picture shows, the pipelines in this order. `hints` says what to look at next."""

    elapsed_s: float
    books: Books
    progress: Progress
    hints: tuple[tuple[str, str], ...]
    pipelines: tuple[str, ...] = (CIVIC,)
    state: str = "Ctrl-C ends"


def picture(shown: Shown, height: int) -> RenderableType:
    """Draw everything, in at most `height` lines where there is room for the least.

    Where there is little, the pipelines' table stands for their results.
    """
    hints = shown.hints if height >= _ROOM_FOR_HINTS else shown.hints[:1]
    room = height - _FIXED_LINES - len(hints)
    parts: list[RenderableType] = [_figures(shown), Text()]
    several = len(shown.pipelines) > 1
    if several:
        parts += [_pipelines(shown), Text()]
        room -= len(shown.pipelines) + _SECTION_LINES - 1
    letters = min(max(room // 3 - _SECTION_LINES, _LEAST_ROWS), _MOST_LETTERS)
    results = room - letters - 2 * _SECTION_LINES
    if results >= _LEAST_ROWS or not several:
        parts += _section("Results", _results(shown.books.newest_results[: max(results, _LEAST_ROWS)]))
    letters = min(letters, max(room - _SECTION_LINES, 2))
    parts += _section("Dead letters", _letters(shown.books.newest_letters[:letters]))
    what = f"{len(shown.pipelines)} pipelines" if several else "civic photo quality"
    minutes, seconds = divmod(int(shown.elapsed_s), 60)
    return Panel(
        Group(*parts, _hints(hints)),
        title=f"[bold]sightline demo[/bold]: {what}",
        subtitle=f"{minutes:02}:{seconds:02}, {shown.state}",
        border_style="cyan",
    )


def pipelines_line(shown: Shown) -> str:
    """Say in one line how many results each pipeline has given."""
    books = shown.books.pipelines
    counts = (f"{name} {books[name].results if name in books else 0}" for name in shown.pipelines)
    return f"        {', '.join(counts)}"


def line(shown: Shown) -> str:
    """Say where things stand in one line."""
    books, progress = shown.books, shown.progress
    return (
        f"{shown.elapsed_s:4.0f} s: sent {books.sent}, results {books.results}, dead letters {books.dead_letters},"
        f" in flight {books.in_flight}, rows {progress.rows}, objects {progress.objects};"
        f" {books.rate:.1f} answers/s, latency {latency(books.latencies_s)}"
    )


def _section(heading: str, table: Table) -> list[RenderableType]:
    return [Text(heading, style="bold"), table, Text()]


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
    second = Text(
        f"{books.rate:.1f} answers/s   latency {latency(books.latencies_s)} from sent to answered", style="dim"
    )
    return Group(first, second)


def _pipelines(shown: Shown) -> Table:
    table = _table(
        ("pipeline", 0, 9),
        ("sent", 0, 5),
        ("results", 0, 7),
        ("dead", 0, 4),
        ("found", 0, 5),
        ("p50 ms", 0, 6),
        ("last picture", 26, None),
        ("last answer", 30, None),
    )
    for name in shown.pipelines:
        one = shown.books.pipelines.get(name, PipelineBooks())
        last_picture, answer = ("", Text()) if one.last is None else (one.last[0], _answer(one.last[1]))
        p50 = f"{percentile_ms(one.latencies_s, 0.5):.0f}" if one.latencies_s else ""
        numbers = (one.sent, one.results, one.dead_letters, one.detections, p50)
        table.add_row(
            Text(name, style="bold"),
            *(Text(str(number), justify="right") for number in numbers),
            Text(last_picture),
            answer,
        )
    return table


def _answer(result: Result) -> Text:
    verdict = verdict_of(result)
    return Text.assemble((verdict, _COLOURS.get(verdict, "bold")), f"  {findings_of(result)}")


def _results(rows: Iterable[tuple[str, str, Result]]) -> Table:
    table = _table(
        ("camera", 24, None),
        ("picture", 28, None),
        ("verdict", 0, 10),
        ("score", 0, 5),
        ("quality", 0, 9),
        ("found", 38, None),
    )
    for camera, name, result in rows:
        verdict, quality = verdict_of(result), result.quality
        table.add_row(
            Text(_plain(camera)),
            Text(name),
            Text(verdict, style=_COLOURS.get(verdict, "bold")),
            Text(f"{result.score:.1f}" if result.score is not None else "", justify="right"),
            Text(quality.level, style=_LEVELS.get(quality.level, "")) if quality else "",
            Text(findings_of(result), style=_PROBLEM),
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
