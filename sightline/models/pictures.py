"""Pictures from files, by the same steps as a worker's: inspected, decoded, upright."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from processors.decode.pictures import Pixels, decode_picture
from processors.inspect import inspect_picture
from schemas.errors import ConfigurationError, InputError
from schemas.frame import Frame, Origin
from schemas.pipeline import InputRules, MediaType

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif"})
_RULES: Final = InputRules(media_types=tuple(MediaType), max_bytes=256 * 1024 * 1024)
_NO_TIME: Final = datetime.fromtimestamp(0, UTC)


def read_pixels(path: Path) -> Pixels:
    """Read one picture: uint8, BGR, height x width x 3, upright.

    Raises ConfigurationError that names the file when it cannot be read or is no picture that a worker would take.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read: {error.strerror}") from None
    try:
        return decode_picture(inspect_picture(_frame(data), _RULES))
    except InputError as error:
        raise ConfigurationError(str(path), f"is no picture that can be used: {error}") from None


def find_pictures(folder: Path) -> list[Path]:
    """List a folder's pictures at any depth, by name; names that begin with a dot are left out.

    Raises ConfigurationError when it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise ConfigurationError(str(folder), "there is no such folder")
    found = sorted(path for path in _walk(folder) if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ConfigurationError(str(folder), f"holds no picture ({' '.join(sorted(SUFFIXES))})")
    return found


def evenly(paths: list[Path], count: int | None) -> list[Path]:
    """Choose at most `count` of them, evenly over the whole list; None is all."""
    if count is None or len(paths) <= count:
        return paths
    return [paths[index * len(paths) // count] for index in range(count)]


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _frame(data: bytes) -> Frame:
    return Frame("", "", "", _NO_TIME, Origin("", 0, 0), data, None)
