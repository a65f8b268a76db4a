"""Pictures from files: which ones a command line means, what they are, and reading them within a limit."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from schemas.errors import Code, InputError, Stage

STANDARD_INPUT: Final = "-"
UNKNOWN_MEDIA_TYPE: Final = "application/octet-stream"
_BY_SUFFIX = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heic",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
_BY_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file's bytes. `captured_at` is when it was last written; for standard input it is now."""

    data: bytes
    captured_at: datetime


def expand(paths: Sequence[str]) -> Iterator[str]:
    """Yield the files that arguments mean, in order: a folder's files at any depth, a pattern's matches, or itself.

    Files and folders whose names begin with a dot are left out of folders. What does not exist is yielded
    as it is: reading it says so.
    """
    for path in paths:
        if path == STANDARD_INPUT or os.path.lexists(path):
            yield from _in_folder(path) if Path(path).is_dir() else [path]
        elif glob.has_magic(path):
            matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 -- the pattern may be absolute
            yield from expand(matches) if matches else [path]
        else:
            yield path


def read_picture(path: str, max_bytes: int) -> PictureFile:
    """Read a file, or standard input for `-`.

    Raises InputError when it cannot be read, is empty, or has more than `max_bytes`.
    """
    try:
        data, captured_at = _read(path, max_bytes)
    except FileNotFoundError:
        raise InputError(Code.CLAIM_NOT_FOUND, Stage.CLAIM, "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = f"the file cannot be read: {type(error).__name__}"
        raise InputError(Code.CLAIM_UNREADABLE, Stage.CLAIM, reason) from None
    if not data:
        raise InputError(Code.VALUE_EMPTY, Stage.FRAME, "the file is empty")
    if len(data) > max_bytes:
        reason = f"the file has more than the {max_bytes} bytes that are allowed"
        raise InputError(Code.PICTURE_TOO_LARGE, Stage.INSPECT, reason)
    return PictureFile(data, captured_at)


def media_type(path: str, data: bytes) -> str:
    """Tell a picture's media type from its first bytes, else from its name."""
    for magic, kind in _BY_MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return "image/heic"
    return _BY_SUFFIX.get(Path(path).suffix.lower(), UNKNOWN_MEDIA_TYPE)


def _read(path: str, max_bytes: int) -> tuple[bytes, datetime]:
    """Read one byte more than is allowed at most, so that a file of any size costs bounded memory."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read(max_bytes + 1), datetime.now(UTC)
    with Path(path).open("rb") as file:
        written_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        return file.read(max_bytes + 1), written_at


def _in_folder(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (str(Path(parent, name)) for name in sorted(files) if not name.startswith("."))
