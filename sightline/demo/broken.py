"""Frames that can never succeed, each broken in its own way, with the code that it must get."""

import struct
from collections.abc import Callable, Iterator, Mapping

from schemas.errors import Code
from schemas.headers import Headers
from sightline.demo.sample import Sample

_JPEG, _PNG, _HEIC, _WEBP = "image/jpeg", "image/png", "image/heic", "image/webp"
_START_OF_FRAME, _START_OF_SCAN, _END_OF_IMAGE = b"\xff\xc0", b"\xff\xda", b"\xff\xd9"


def break_photos(photos: Mapping[str, bytes]) -> Iterator[Sample]:
    """Yield broken frames made of whole photos, which are given by name as `draw_photos` names them."""
    jpeg = photos["pothole.jpg"]
    small = photos["graffiti-thumbnail.jpg"]
    png, heic, webp = photos["graffiti-screenshot.png"], photos["pothole.heic"], photos["bin.webp"]
    yield Sample("truncated.jpg", jpeg[: len(jpeg) // 2], _JPEG, Code.PICTURE_TRUNCATED)
    yield Sample("truncated.png", png[: len(png) // 3], _PNG, Code.PICTURE_TRUNCATED)
    yield Sample("truncated.webp", webp[: len(webp) // 2], _WEBP, Code.PICTURE_TRUNCATED)
    yield Sample("truncated.heic", heic[: len(heic) * 2 // 3], _HEIC, Code.PICTURE_TRUNCATED)
    yield Sample("scan-cut-short.jpg", _scan_cut_short(jpeg), _JPEG, Code.PICTURE_CORRUPT)
    yield Sample("bits-flipped.png", _bits_flipped(png), _PNG, Code.PICTURE_CORRUPT)
    yield Sample("60000x60000.jpg", _claiming(small, 60_000, 60_000), _JPEG, Code.DIMENSIONS_TOO_LARGE)
    yield Sample("letter.txt.jpg", b"Dear city, there is a hole in our street.\n" * 20, _JPEG, Code.MEDIA_TYPE_UNKNOWN)
    yield Sample("form.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"0" * 400, _JPEG, Code.MEDIA_TYPE_NOT_ALLOWED)
    yield Sample("png-that-is-jpeg.png", small, _PNG, Code.MEDIA_TYPE_MISMATCH)
    yield Sample("empty.jpg", b"", _JPEG, Code.VALUE_EMPTY)
    yield Sample("null.jpg", None, _JPEG, Code.VALUE_NULL)
    yield Sample("no-id.jpg", small, _JPEG, Code.HEADER_MISSING, _without("ce_id"))
    yield Sample("id-twice.jpg", small, _JPEG, Code.HEADER_REPEATED, _with("ce_id", b"again"))
    yield Sample("other-version.jpg", small, _JPEG, Code.SPECVERSION_UNKNOWN, _set("ce_specversion", b"0.3"))
    yield Sample("other-type.jpg", small, _JPEG, Code.TYPE_UNKNOWN, _set("ce_type", b"com.example.photo"))
    yield Sample("from-the-future.jpg", small, _JPEG, Code.TIME_IN_FUTURE, _set("ce_time", b"2999-01-01T00:00:00Z"))
    yield Sample("no-such-day.jpg", small, _JPEG, Code.TIME_INVALID, _set("ce_time", b"2026-02-30T12:00:00Z"))
    yield Sample("binary-header.jpg", small, _JPEG, Code.HEADER_VALUE_INVALID, _with("ce_subject", b"\xff\xfe"))
    yield Sample("keep-perhaps.jpg", small, _JPEG, Code.SETTING_INVALID, _with("ce_keep", b"perhaps"))


def _scan_cut_short(jpeg: bytes) -> bytes:
    """End the scan half-way with a proper end marker: only decoding shows that rows are missing."""
    middle = (jpeg.index(_START_OF_SCAN) + len(jpeg)) // 2
    return jpeg[:middle] + _END_OF_IMAGE


def _bits_flipped(png: bytes) -> bytes:
    middle = len(png) // 2
    return png[:middle] + bytes(byte ^ 0xFF for byte in png[middle : middle + 64]) + png[middle + 64 :]


def _claiming(jpeg: bytes, width: int, height: int) -> bytes:
    """Change the size in the frame header; the rest of the file stays as small as it is."""
    place = jpeg.index(_START_OF_FRAME) + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


def _without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: [pair for pair in headers if pair[0] != name]


def _with(name: str, value: bytes) -> Callable[[Headers], Headers]:
    return lambda headers: [*headers, (name, value)]


def _set(name: str, value: bytes) -> Callable[[Headers], Headers]:
    return lambda headers: [(found, value if found == name else text) for found, text in headers]
