"""Makes `demo.svg`, the demo's picture for the documents: `python docs/images/demo_svg.py [FOLDER OF DEMO MODELS]`."""  # noqa: INP001 -- a script

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from sightline.demo.flow import Options
from sightline.demo.run import run_demo
from sightline.demo.view import Shown, picture

_PLACE = Path(__file__).with_name("demo.svg")
_SECONDS = 40.0
_WIDTH, _HEIGHT = 132, 39
_FONTS = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'
# Rich's own fonts would be fetched from somebody's server by everybody who looks.
_FETCHED_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Recorder:
    """A display that keeps what it was shown last while frames flowed."""

    def __init__(self) -> None:
        self.last: Shown | None = None

    def note(self, text: str) -> None:
        """See `Display.note`."""
        sys.stdout.write(text + "\n")

    def show(self, shown: Shown) -> None:
        """See `Display.show`."""
        if shown.state.startswith("ends"):
            self.last = shown

    def close(self) -> None:
        """See `Display.close`."""


def main(models: Path | None) -> None:
    """Run the demo, and draw its last picture as a terminal would have shown it."""
    recorder = Recorder()
    run_demo(Options(_SECONDS, 8.0, None, 1, models), recorder)
    if recorder.last is None:
        sys.exit("nothing was shown")
    console = Console(record=True, width=_WIDTH, height=_HEIGHT, file=io.StringIO(), force_terminal=True)
    shown = recorder.last
    console.print(
        picture(Shown(shown.elapsed_s, shown.books, shown.progress, shown.hints, shown.pipelines), _HEIGHT)
    )  # fmt: skip
    svg = _FETCHED_FONT.sub("", console.export_svg(title="sightline demo", unique_id="terminal"))
    svg = re.sub(r"font-family: Fira Code, monospace", f"font-family: {_FONTS}", svg)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    _PLACE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
