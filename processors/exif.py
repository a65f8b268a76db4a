"""Reads the few EXIF tags that anything here needs, and writes the one that a stripped picture keeps."""

import struct
from collections.abc import Mapping

from processors.containers import ifd

ORIENTATION = 0x0112
MAKE, MODEL, DATE_TIME = 0x010F, 0x0110, 0x0132
EXPOSURE_TIME, F_NUMBER, ISO = 0x829A, 0x829D, 0x8827
DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x9003, 0x9004
SHUTTER_SPEED, APERTURE = 0x9201, 0x9202
_EXIF_DIRECTORY = 0x8769
_WANTED = frozenset({
    ORIENTATION, MAKE, MODEL, DATE_TIME, EXPOSURE_TIME, F_NUMBER, ISO, DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED,
    SHUTTER_SPEED, APERTURE, _EXIF_DIRECTORY,
})  # fmt: skip
_MAX_ENTRIES = 1024
_MAX_ITEMS = 256

Tags = Mapping[int, ifd.Value]


def read_tags(block: bytes) -> dict[int, ifd.Value]:
    """Return the wanted tags of an EXIF block (or of a whole TIFF file), whichever directory they stand in.

    Some writers put camera tags into the first directory, so both count; the EXIF directory wins. A damaged
    block gives what can be read of it, at worst nothing; this never raises.
    """
    header = ifd.read_header(block)
    if header is None:
        return {}
    order, offset = header
    tags = _read_directory(block, offset, order)
    pointer = tags.pop(_EXIF_DIRECTORY, None)
    if isinstance(pointer, tuple) and len(pointer) == 1 and isinstance(pointer[0], int):
        tags |= _read_directory(block, pointer[0], order)
    return tags


def orientation_of(tags: Tags) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where it is missing or no such number."""
    found = tags.get(ORIENTATION)
    number = found[0] if isinstance(found, tuple) and found else None
    return number if isinstance(number, int) and number in range(1, 9) else 1


def orientation_only(orientation: int) -> bytes:
    """Return an EXIF block that holds the orientation and nothing else."""
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)


def _read_directory(block: bytes, offset: int, order: ifd.ByteOrder) -> dict[int, ifd.Value]:
    found = {}
    for entry in ifd.entries(block, offset, order, _MAX_ENTRIES):
        if entry.tag in _WANTED:
            content = ifd.value(block, entry, order, _MAX_ITEMS)
            if content is not None:
                found[entry.tag] = content
    return found
