"""JPEG: marker segments up to the first end marker (ITU T.81, annex B)."""

import numpy as np

from processors.containers.structure import Admit, Part, Structure, corrupt, truncated

_ESCAPE = 0xFF  # every marker begins with it
SOI, EOI, SOS, APP1, COM = 0xD8, 0xD9, 0xDA, 0xE1, 0xFE
EXIF_HEADER = b"Exif\0"  # a sixth byte follows: 0 by the book, 0xFF from some cameras
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; the last two arithmetic-coded
_FRAMES_WITHOUT_DECODER = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}
_SEGMENTS = range(0xC0, 0xFF)
_RESTARTS = range(0xD0, 0xD8)
# A progressive picture has some ten scans. Each costs the decoder a pass over all pixels, so thousands of
# empty ones in a small file would hold it for hours.
MAX_SCANS = 100
MAX_SEGMENTS = 4096
_MAX_FILL_BYTES = 4096
_BLOCK_BYTES = 256 * 1024


def walk(data: bytes, admit: Admit) -> Structure:
    """Walk a JPEG. Each scan's part takes its entropy-coded data in; bytes after the end belong to no part.

    Raises InputError: truncated, corrupt, or what `admit` raises.
    """
    parts: list[Part] = []
    size: tuple[int, int] | None = None
    exif = b""
    scans = 0
    position = 2
    while True:
        marker, position = _marker(data, position)
        if marker == EOI:
            break
        part = _segment(data, marker, position)
        if marker in _FRAMES:
            if size is not None:
                raise corrupt("the JPEG has two frame headers")
            size = _frame_size(data, part, admit)
        elif marker == APP1 and not exif and data.startswith(EXIF_HEADER, part.start + 4):
            exif = data[part.start + 10 : part.end]
        elif marker == SOS:
            scans += 1
            part = Part(part.kind, part.start, _end_of_scan(data, part.end))
        parts.append(part)
        position = part.end
        if len(parts) > MAX_SEGMENTS or scans > MAX_SCANS or (scans and size is None):
            raise corrupt("the JPEG has too many segments or scans, or a scan before its frame header")
    if size is None or not scans:
        raise corrupt("the JPEG ends before its first scan")
    return Structure(*size, exif, tuple(parts))


def _marker(data: bytes, position: int) -> tuple[int, int]:
    """Return the marker at `position`, and where its last 0xFF stands; any number of those may precede it."""
    if position >= len(data):
        raise truncated("the JPEG has no end marker")
    window = data[position : position + _MAX_FILL_BYTES]
    escapes = len(window) - len(window.lstrip(b"\xff"))
    code_at = position + escapes
    if code_at >= len(data):
        raise truncated("the JPEG has no end marker")
    if not 0 < escapes < _MAX_FILL_BYTES:
        raise corrupt("a JPEG segment does not begin with a marker")
    return data[code_at], code_at - 1


def _segment(data: bytes, marker: int, start: int) -> Part:
    if marker not in _SEGMENTS or marker in _RESTARTS or marker == SOI or marker in _FRAMES_WITHOUT_DECODER:
        raise corrupt("the JPEG has a marker that is out of place or of a kind without a decoder")
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    end = start + 2 + length
    if end > len(data) or start + 4 > len(data):
        raise truncated("a JPEG segment is longer than the rest of the file")
    if length < 2:  # noqa: PLR2004 - the length counts its own two bytes
        raise corrupt("a JPEG segment is shorter than its own length field")
    return Part(bytes([marker]), start, end)


def _frame_size(data: bytes, part: Part, admit: Admit) -> tuple[int, int]:
    body = data[part.start + 4 : part.end]
    if len(body) < 6:  # noqa: PLR2004 - precision, height, width, number of components
        raise corrupt("the JPEG frame header is too short")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not width or not height:
        raise corrupt("the JPEG has no width or no height")
    admit(width, height)
    if body[0] != 8:  # noqa: PLR2004 - bits
        raise corrupt("only JPEG with 8 bits a sample has a decoder")
    return width, height


def _end_of_scan(data: bytes, position: int) -> int:
    """Return where the next marker stands that is neither a stuffed 0xFF, a restart, nor a fill byte.

    Block by block, since index arrays over a hostile file of 32 MB of markers would take 256 MB.
    """
    for start in range(position, len(data) - 1, _BLOCK_BYTES):
        block = np.frombuffer(data, np.uint8, min(_BLOCK_BYTES + 1, len(data) - start), start)
        escapes = np.flatnonzero(block[:-1] == _ESCAPE)
        codes = block[escapes + 1]
        found = escapes[(codes != 0) & (codes != _ESCAPE) & ((codes < _RESTARTS.start) | (codes >= _RESTARTS.stop))]
        if len(found):
            return start + int(found[0])
    raise truncated("the JPEG ends within a scan")
