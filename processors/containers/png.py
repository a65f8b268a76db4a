"""PNG: chunks with checksums (ISO/IEC 15948)."""

import zlib

from processors.containers.structure import Admit, Part, Structure, corrupt, truncated

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES = 12  # length, name and checksum around a chunk's content
MAX_CHUNKS = 100_000


def walk(data: bytes, admit: Admit) -> Structure:
    """Walk a PNG up to IEND; bytes after it belong to no part. Checksums of critical chunks are verified.

    Raises InputError: truncated, corrupt, or what `admit` raises.
    """
    parts: list[Part] = []
    size: tuple[int, int] | None = None
    exif = b""
    position = len(SIGNATURE)
    while not parts or parts[-1].kind != b"IEND":
        part = _chunk(data, position)
        whole = not _is_checked(part.kind) or _checksum_fits(data, part)
        if not whole and part.kind != b"eXIf":
            raise corrupt("the checksum of a critical PNG chunk does not fit")
        if size is None:
            size = _header_size(data, part, admit)
        elif part.kind == b"eXIf" and whole and not exif:
            exif = data[part.start + 8 : part.end - 4]
        parts.append(part)
        position = part.end
        if len(parts) > MAX_CHUNKS:
            raise corrupt("the PNG has too many chunks")
    if size is None or all(part.kind != b"IDAT" for part in parts):
        raise corrupt("the PNG has no picture data")
    return Structure(*size, exif, tuple(parts))


def _chunk(data: bytes, start: int) -> Part:
    end = start + _FRAME_BYTES + int.from_bytes(data[start : start + 4], "big")
    if start + _FRAME_BYTES > len(data) or end > len(data):
        raise truncated("the PNG ends before its IEND chunk")
    return Part(data[start + 4 : start + 8], start, end)


def _is_checked(kind: bytes) -> bool:
    """Say whether the checksum matters: of critical chunks (capital first letter), and of eXIf, which we read."""
    return not kind[0] & 0x20 or kind == b"eXIf"


def _checksum_fits(data: bytes, part: Part) -> bool:
    content = memoryview(data)[part.start + 4 : part.end - 4]
    return zlib.crc32(content) == int.from_bytes(data[part.end - 4 : part.end], "big")


def _header_size(data: bytes, part: Part, admit: Admit) -> tuple[int, int]:
    if part.kind != b"IHDR" or part.end - part.start != _FRAME_BYTES + 13:
        raise corrupt("the PNG does not begin with its header chunk")
    width = int.from_bytes(data[part.start + 8 : part.start + 12], "big")
    height = int.from_bytes(data[part.start + 12 : part.start + 16], "big")
    if not width or not height:
        raise corrupt("the PNG has no width or no height")
    admit(width, height)
    return width, height
