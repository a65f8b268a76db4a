"""WebP: keeps pictures, alpha, animation and colour profile."""

from processors.containers.structure import Part, Structure
from processors.exif import orientation_only

_KEPT = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04


def strip_webp(data: bytes, structure: Structure, orientation: int) -> bytes:
    """Return the WebP without metadata; pictures are copied bit by bit."""
    turned = orientation != 1
    pieces = [_kept(data, part, turned=turned) for part in structure.parts if part.kind in _KEPT]
    if turned:
        block = orientation_only(orientation)
        pieces.append(b"EXIF" + len(block).to_bytes(4, "little") + block)
    body = b"WEBP" + b"".join(pieces)
    stripped = b"RIFF" + len(body).to_bytes(4, "little") + body
    return data if stripped == data else stripped


def _kept(data: bytes, part: Part, *, turned: bool) -> bytes:
    chunk = data[part.start : part.end]
    chunk += b"\0" * (len(chunk) & 1)  # some writers leave the last padding byte out
    if part.kind != b"VP8X":
        return chunk
    flags = chunk[8] & ~(_EXIF_FLAG | _XMP_FLAG) | (_EXIF_FLAG if turned else 0)
    return chunk[:8] + bytes([flags]) + chunk[9:]
