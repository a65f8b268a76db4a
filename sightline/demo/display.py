"""Where the demo writes: a terminal gets a picture that lives, anything else gets a line now and then."""

import sys
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sightline.demo.view import Shown, line, picture, pipelines_line

_PICTURES_A_SECOND = 4
_LINE_EVERY_S = 5.0


class Display(Protocol):
    """Shows how the demo goes."""

    def note(self, text: str) -> None:
        """Write one line that stays."""
        ...

    def show(self, shown: Shown) -> None:
        """Show where things stand now; called several times a second."""
        ...

    def close(self) -> None:
        """Leave what was shown last, and let the next line stand below it."""
        ...


def open_display() -> Display:
    """Open what fits standard output."""
    return TerminalDisplay(Console()) if sys.stdout.isatty() else LineDisplay()


class TerminalDisplay:
    """A picture that is drawn again in its place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._last_s = 0.0

    def note(self, text: str) -> None:
        """See `Display.note`."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, shown: Shown) -> None:
        """See `Display.show`."""
        if not self._live.is_started:
            self._live.start()
        elif shown.elapsed_s - self._last_s < 1 / _PICTURES_A_SECOND:
            return
        self._last_s = shown.elapsed_s
        self._live.update(picture(shown, self._console.height), refresh=True)

    def close(self) -> None:
        """See `Display.close`."""
        self._live.stop()


class LineDisplay:
    """Plain lines, each sent off at once: a log or a pipe may be watched."""

    def __init__(self) -> None:
        self._next_s: float | None = None

    def note(self, text: str) -> None:
        """See `Display.note`."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def show(self, shown: Shown) -> None:
        """See `Display.show`."""
        if self._next_s is None:
            for what, command in shown.hints:
                self.note(f"{what:<28}{command}")
        if self._next_s is None or shown.elapsed_s >= self._next_s:
            self._next_s = shown.elapsed_s + _LINE_EVERY_S
            self.note(line(shown))
            if len(shown.pipelines) > 1:
                self.note(pipelines_line(shown))

    def close(self) -> None:
        """See `Display.close`."""
