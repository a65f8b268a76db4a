"""JPEG: drops application and comment segments, except those that rendering needs."""

from processors.containers.jpeg import COM
from processors.containers.structure import Part, Structure
from processors.exif import orientation_only

_START, _END = b"\xff\xd8", b"\xff\xd9"
_JFIF_WITHOUT_THUMBNAIL = 16  # bytes after the marker's 0xFF xx: length field, name, version, density, 0 x 0
# JFIF, colour profile, and Adobe's note of which colour transform was used.
_KEPT = {b"\xe0": b"JFIF\0", b"\xe2": b"ICC_PROFILE\0", b"\xee": b"Adobe"}


def strip_jpeg(data: bytes, structure: Structure, orientation: int) -> bytes:
    """Return the JPEG without metadata; the coded pixels are copied bit by bit."""
    pieces = [_kept(data, part) for part in structure.parts]
    if orientation != 1:
        pieces.insert(1 if structure.parts[0].kind == b"\xe0" else 0, _exif_segment(orientation))
    stripped = b"".join([_START, *pieces, _END])
    return data if stripped == data else stripped


def _kept(data: bytes, part: Part) -> bytes:
    marker = part.kind[0]
    if marker == COM or 0xE0 <= marker <= 0xEF:  # noqa: PLR2004 - the application segments
        wanted = _KEPT.get(part.kind)
        if wanted is None or not data.startswith(wanted, part.start + 4):
            return b""
        if marker == 0xE0:  # noqa: PLR2004 - JFIF
            return _without_thumbnail(data[part.start : part.end])
    return data[part.start : part.end]


def _without_thumbnail(segment: bytes) -> bytes:
    """Cut the small picture that a JFIF header may hold: it can show what was cropped away."""
    whole = _JFIF_WITHOUT_THUMBNAIL + 2
    if len(segment) <= whole:
        return segment
    return segment[:2] + _JFIF_WITHOUT_THUMBNAIL.to_bytes(2, "big") + segment[4 : whole - 2] + b"\0\0"


def _exif_segment(orientation: int) -> bytes:
    body = b"Exif\0\0" + orientation_only(orientation)
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
