"""TIFF: the first directory and the pixel data that it points to (TIFF 6.0)."""

import struct
from dataclasses import dataclass

import numpy as np

from processors.containers import ifd
from processors.containers.structure import Admit, Structure, corrupt, truncated

_PLAIN = {0x0112: 1, 0x0152: 1}  # orientation: upright; extra samples: associated alpha
_SHORT = 3
_WIDTH, _HEIGHT, _COMPRESSION = 0x0100, 0x0101, 0x0103
_DATA_TAGS = ((0x0111, 0x0117), (0x0144, 0x0145))  # strips, tiles: offsets and byte counts
_OLD_JPEG = 6
_MAX_ENTRIES = 1024


@dataclass(frozen=True, slots=True)
class TiffStructure(Structure):
    """A TIFF's first directory. `pixel_ranges` is where its strips or tiles lie: rows of start and end."""

    order: ifd.ByteOrder = "<"
    directory: int = 0
    entries: tuple[ifd.Entry, ...] = ()
    pixel_ranges: tuple[tuple[int, int], ...] = ()


def walk(data: bytes, admit: Admit) -> TiffStructure:
    """Walk a TIFF's first directory; later ones (pages, thumbnails) are not looked at.

    Raises InputError: truncated, corrupt, or what `admit` raises.
    """
    header = ifd.read_header(data)
    if header is None:
        raise corrupt("the TIFF header is damaged")
    order, offset = header
    entries = _directory(data, offset, order)
    width, height = (_number(data, entries, tag, order) for tag in (_WIDTH, _HEIGHT))
    if not width or not height:
        raise corrupt("the TIFF has no width or no height")
    admit(width, height)
    if _number(data, entries, _COMPRESSION, order) == _OLD_JPEG:
        raise corrupt("TIFF with JPEG compression of the old style has no decoder")
    if any(entry.end > len(data) for entry in entries.values()):
        raise truncated("a TIFF value lies beyond the end of the file")
    return TiffStructure(
        width,
        height,
        exif=data,
        parts=(),
        order=order,
        directory=offset,
        entries=tuple(entries.values()),
        pixel_ranges=_pixel_ranges(data, entries, order),
    )


def for_plain_decoding(data: bytes, structure: TiffStructure) -> bytes:
    """Return the file as OpenCV must see it to give the stored pixels.

    It turns TIFF pixels whatever its flags say, and multiplies them with an alpha that says to be independent:
    so the orientation becomes 1, and the alpha one that is already multiplied in.
    """
    changed = [entry for entry in structure.entries if entry.tag in _PLAIN and entry.count == 1]
    if not changed:
        return data
    copy = bytearray(data)
    for entry in changed:
        struct.pack_into(structure.order + "HHIHH", copy, entry.at, entry.tag, _SHORT, 1, _PLAIN[entry.tag], 0)
    return bytes(copy)


def _directory(data: bytes, offset: int, order: ifd.ByteOrder) -> dict[int, ifd.Entry]:
    count = ifd.entry_count(data, offset, order)
    if count is None or offset + 2 + count * ifd.ENTRY_BYTES > len(data):
        raise truncated("the TIFF ends before its first directory does")
    if not 0 < count <= _MAX_ENTRIES:
        raise corrupt("the TIFF's first directory is empty or too long")
    return {entry.tag: entry for entry in ifd.entries(data, offset, order, count)}


def _number(data: bytes, entries: dict[int, ifd.Entry], tag: int, order: ifd.ByteOrder) -> int | None:
    entry = entries.get(tag)
    found = None if entry is None else ifd.value(data, entry, order, 1)
    first = found[0] if found else None
    return first if isinstance(first, int) else None


def _pixel_ranges(data: bytes, entries: dict[int, ifd.Entry], order: ifd.ByteOrder) -> tuple[tuple[int, int], ...]:
    found = [pair for pair in _DATA_TAGS if pair[0] in entries and pair[1] in entries]
    if not found:
        raise corrupt("the TIFF points to no picture data")
    starts, sizes = (_numbers(data, entries[tag], order) for tag in found[0])
    if len(starts) != len(sizes) or not len(starts):
        raise corrupt("the TIFF has not as many strip offsets as strip sizes")
    ends = starts + sizes
    if int(ends.max()) > len(data):
        raise truncated("the TIFF's picture data lies beyond the end of the file")
    # Shared strips would let a small file unfold to any size when its kept ranges are copied.
    if int(sizes.sum()) > len(data):
        raise corrupt("the TIFF's strips overlap")
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


def _numbers(data: bytes, entry: ifd.Entry, order: ifd.ByteOrder) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    widths = {3: "u2", 4: "u4"}
    if entry.kind not in widths or entry.end > len(data):
        raise corrupt("the TIFF's strip table is damaged")
    return np.frombuffer(data, order + widths[entry.kind], entry.count, entry.start).astype(np.int64)
