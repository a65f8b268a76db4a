"""WebP: chunks in a RIFF file (RFC 9649)."""

from processors.containers.structure import Admit, Part, Structure, corrupt, truncated

_BITSTREAMS = (b"VP8 ", b"VP8L")
_ANIMATION_FLAG = 0x02
MAX_CHUNKS = 10_000


def walk(data: bytes, admit: Admit) -> Structure:
    """Walk a WebP up to the end that its RIFF header names; bytes after it belong to no part.

    Raises InputError: truncated, corrupt, or what `admit` raises.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise truncated("the WebP is shorter than its RIFF header says")
    parts: list[Part] = []
    position = 12
    while position + 8 <= end and len(parts) < MAX_CHUNKS:
        part = _chunk(data, position, end)
        if not parts:
            width, height = _size(data, part, admit)
        parts.append(part)
        position = part.end
    if not parts or len(parts) == MAX_CHUNKS:
        raise corrupt("the WebP has no chunks, or too many")
    _check_pictures(data, parts, (width, height))
    return Structure(width, height, _exif(data, parts), tuple(parts))


def content(data: bytes, part: Part) -> bytes:
    """Return a chunk's content without header and padding."""
    length = int.from_bytes(data[part.start + 4 : part.start + 8], "little")
    return data[part.start + 8 : part.start + 8 + length]


def _chunk(data: bytes, start: int, riff_end: int) -> Part:
    length = int.from_bytes(data[start + 4 : start + 8], "little")
    if start + 8 + length > riff_end:
        raise truncated("a WebP chunk is longer than the rest of the file")
    return Part(data[start : start + 4], start, min(start + 8 + length + (length & 1), riff_end))


def _size(data: bytes, part: Part, admit: Admit) -> tuple[int, int]:
    """Read the canvas size from the first chunk, whichever of the three it is."""
    body = data[part.start + 8 : part.end]
    if part.kind == b"VP8X" and len(body) >= 10:  # noqa: PLR2004 - flags and two sizes
        width, height = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    elif part.kind in _BITSTREAMS:
        width, height = _bitstream_size(part.kind, body)
    else:
        raise corrupt("the WebP does not begin with a picture or an extended header")
    admit(width, height)
    return width, height


def _bitstream_size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) >= 10:  # noqa: PLR2004 - frame header
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    elif kind == b"VP8L" and body[:1] == b"\x2f" and len(body) >= 5:  # noqa: PLR2004 - image header
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        raise corrupt("the WebP bitstream has no valid header")
    if not width or not height:
        raise corrupt("the WebP has no width or no height")
    return width, height


def _check_pictures(data: bytes, parts: list[Part], size: tuple[int, int]) -> None:
    """Refuse a still that is not as large as its canvas: the decoder would make room for more than was admitted."""
    if parts[0].kind == b"VP8X" and data[parts[0].start + 8] & _ANIMATION_FLAG:
        if all(part.kind != b"ANMF" for part in parts):
            raise corrupt("the WebP animation has no frames")
        return
    pictures = [part for part in parts if part.kind in _BITSTREAMS]
    if not pictures or _bitstream_size(pictures[0].kind, data[pictures[0].start + 8 : pictures[0].end]) != size:
        raise corrupt("the WebP has no picture, or one of another size than its canvas")


def _exif(data: bytes, parts: list[Part]) -> bytes:
    """Only an extended file may carry EXIF; decoders ignore it elsewhere, and so must the orientation."""
    if parts[0].kind != b"VP8X":
        return b""
    found = next((content(data, part) for part in parts if part.kind == b"EXIF"), b"")
    return found[6:] if found.startswith(b"Exif\0\0") else found
