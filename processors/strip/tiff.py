"""TIFF: copies what the first picture needs onto zeros; every byte stays where it was."""

import struct

from processors.containers import ifd
from processors.containers.tiff import TiffStructure

# Tags that say how to read the pixels (TIFF 6.0; colour profile by ICC.1, annex B.4).
_KEPT = frozenset({
    0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x010A, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x0118,
    0x0119, 0x011A, 0x011B, 0x011C, 0x0122, 0x0123, 0x0124, 0x0125, 0x0128, 0x012D, 0x013D, 0x013E, 0x013F, 0x0140,
    0x0142, 0x0143, 0x0144, 0x0145, 0x014C, 0x014E, 0x0152, 0x0153, 0x0154, 0x0155, 0x0156, 0x015B, 0x0211, 0x0212,
    0x0213, 0x0214, 0x8773,
})  # fmt: skip


def strip_tiff(data: bytes, structure: TiffStructure, _orientation: int) -> bytes:
    """Return the TIFF's first picture with its structural tags, of equal length; all else is zero."""
    kept = [entry for entry in structure.entries if entry.tag in _KEPT]
    stripped = bytearray(len(data))
    stripped[:8] = data[:8]
    far_values = [(entry.start, entry.end) for entry in kept if entry.start != entry.at + 8]
    for start, end in [*far_values, *structure.pixel_ranges]:
        stripped[start:end] = data[start:end]
    _write_directory(stripped, data, structure, kept)
    return data if stripped == data else bytes(stripped)


def _write_directory(stripped: bytearray, data: bytes, structure: TiffStructure, kept: list[ifd.Entry]) -> None:
    """Write the kept entries closed up, and no next directory."""
    table = b"".join(data[entry.at : entry.at + ifd.ENTRY_BYTES] for entry in kept)
    directory = struct.pack(structure.order + "H", len(kept)) + table + bytes(4)
    stripped[structure.directory : structure.directory + len(directory)] = directory
