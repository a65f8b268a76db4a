"""Pictures that somebody made to hurt: small files of every format, damaged, and a few that claim or unpack to much."""

import io
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from random import Random

import numpy as np
from PIL import Image

from schemas.pipeline import MediaType
from tests.fuzz.damage import damaged
from tests.unit.processors import samples

SIZE_WH = 64, 48
_SIZES = (0, 1, 63, 65, 4096, 8192, 16384, 30_001, 60_000, 65_535, 2**31 - 1, 2**32 - 1)
_UNPACKED_BYTES = 50_000_000
# Other declared types than the right one: often none, or one that is not true.
_DECLARED = (
    None,
    "application/octet-stream",
    "image/jpg",
    "image/heif",
    "image/png",
    "application/dicom",
    "text/plain",
)


def picture(chance: Random) -> tuple[bytes, str | None]:
    """Return a malformed picture, now and then a sound one, and the type to declare it as."""
    media_type = chance.choice(list(_files()))
    files = _files()[media_type]
    data = chance.choice(files)
    kind = chance.random()
    if kind < 0.75:
        data = damaged(data, chance, _all_files())
    elif kind < 0.83:
        data = _claiming(data, chance)
    elif kind < 0.92 and media_type == MediaType.PNG.value:
        data = _rebuilt_png(data, chance)
    elif kind < 0.92:
        data = _damaged_metadata(data, chance)
    elif kind < 0.922:
        data = chance.choice(_bombs())
    return data, chance.choice(_DECLARED) if chance.random() < 0.2 else media_type


def sound(chance: Random) -> tuple[bytes, str]:
    """Return a picture that every pipeline reads."""
    media_type = chance.choice((MediaType.JPEG, MediaType.PNG, MediaType.WEBP)).value
    return _files()[media_type][0], media_type


@cache
def _files() -> Mapping[str, list[bytes]]:
    photo = samples.photo(*SIZE_WH)
    rgb = Image.fromarray(np.ascontiguousarray(photo[:, :, ::-1]))
    grey, palette, alpha = rgb.convert("L"), rgb.convert("P"), rgb.convert("RGBA")
    files = {
        kind.value: [
            samples.encode(photo, kind),
            samples.with_secrets(photo, kind, 6),
            samples.encode_image(grey, kind),
        ]
        for kind in samples.ALL_TYPES
    }
    profile = b"\0\0\2\x0clcms\2\x10\0\0mntrRGB XYZ " + bytes(500)
    files["image/jpeg"] += [
        _saved(rgb, "JPEG", progressive=True), _saved(rgb.convert("CMYK"), "JPEG"), _saved(rgb, "JPEG", subsampling=0),
        _saved(rgb, "JPEG", restart_marker_blocks=2, icc_profile=profile), _saved(rgb, "MPO"),
    ]  # fmt: skip
    files["image/png"] += [
        _saved(palette, "PNG"), _saved(alpha, "PNG", icc_profile=profile), _saved(rgb.convert("1"), "PNG"),
        _saved(grey.convert("I;16"), "PNG"), _saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90)]),
    ]  # fmt: skip
    files["image/webp"] += [
        _saved(rgb, "WEBP", quality=60, icc_profile=profile), _saved(alpha, "WEBP", quality=60),
        _saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)]),
    ]  # fmt: skip
    files["image/tiff"] += [
        _saved(rgb, "TIFF", compression=compression)
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    files["image/tiff"] += [_saved(rgb.convert("1"), "TIFF", compression="group4"), _saved(palette, "TIFF")]
    files["image/x-other"] = [
        *(_saved(rgb, name) for name in ("GIF", "BMP", "AVIF", "JPEG2000", "ICO", "PDF", "PPM", "TGA")),
        bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", 18) + b"1.2.840.10008.1.2\0" + photo.tobytes(),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"No picture at all.\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP",
    ]  # fmt: skip
    return files


@cache
def _all_files() -> list[bytes]:
    return [data for files in _files().values() for data in files]


def _saved(image: Image.Image, name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def _claiming(data: bytes, chance: Random) -> bytes:
    """Let the file claim another size, in whatever way its format writes one; checksums are put right."""
    found = list(_SIZE_FIELDS.finditer(data))
    width, height = chance.choice(_SIZES), chance.choice((*_SIZES, SIZE_WH[1]))
    if not found:
        return damaged(data, chance)
    match = chance.choice(found)
    at, kind = match.end(), match[0]
    if kind == b"IHDR":
        header = struct.pack(">II", width, height) + data[at + 8 : at + 13]
        return data[:at] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[at + 17 :]
    if kind == b"ispe":
        return data[: at + 4] + struct.pack(">II", width, height) + data[at + 12 :]
    if kind == b"VP8X":
        sizes = [max(side, 1) - 1 for side in (width, height)]
        return data[: at + 8] + b"".join((side % 2**24).to_bytes(3, "little") for side in sizes) + data[at + 14 :]
    if kind[0] == 0xFF:
        return data[: at + 3] + struct.pack(">HH", height % 2**16, width % 2**16) + data[at + 7 :]
    return data[: at + 6] + struct.pack("<I", width) + data[at + 10 :]  # a TIFF entry: type, count, value


# PNG, HEIC, WebP, JPEG, TIFF (width, height, rows per strip)
_SIZE_FIELDS = re.compile(rb"IHDR|ispe|VP8X|\xff[\xc0\xc1\xc2]|[\x00\x01\x16]\x01(?=[\x03\x04]\x00\x01\x00\x00\x00)")


def _rebuilt_png(data: bytes, chance: Random) -> bytes:
    """Damage, drop, repeat or reorder chunks, each with a checksum that is right: decoders look further then."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(chance.choice((1, 1, 2))):
        number = chance.randrange(len(chunks))
        kind, content = chunks[number]
        way = chance.randrange(5)
        if way == 0:
            chunks[number] = kind, damaged(content, chance)
        elif way == 1:
            chunks.insert(chance.randrange(len(chunks)), chunks[number])
        elif way == 2 and len(chunks) > 1:
            del chunks[number]
        elif way == 3:
            chunks[number] = chance.choice((b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"acTL", b"fdAT", b"IEND")), content
        elif kind == b"IDAT":
            chunks[number] = kind, zlib.compress(chance.randbytes(chance.choice((1, 1000, 30_000))))
    return data[:8] + b"".join(samples.png_chunk(kind, content) for kind, content in chunks)


def _damaged_metadata(data: bytes, chance: Random) -> bytes:
    """Damage what lies behind one of the marks that metadata begin with, and nothing before it."""
    places = [match.end() for match in _METADATA.finditer(data)]
    if not places:
        return damaged(data, chance)
    at = chance.choice(places)
    end = at + chance.choice((12, 60, 400))
    piece = damaged(data[at:end], chance)[: end - at]
    return data[:at] + piece + data[at + len(piece) :]


_METADATA = re.compile(
    rb"Exif\0\0|EXIF|eXIf|II\*\0|MM\0\*|ICC_PROFILE\0|ICCP|iCCP|acsp|XMP |iprp|iloc|iinf|Photoshop 3"
)


@cache
def _bombs() -> list[bytes]:
    """Return files that unpack to 50 MB, or are dear to read; all are small."""
    zeros = zlib.compress(bytes(_UNPACKED_BYTES), 9)
    png, jpeg = _files()["image/png"][0], _files()["image/jpeg"][3]
    scan = jpeg.index(b"\xff\xda")
    flat = Image.new("L", (4000, 4000))
    bombs: list[Callable[[], bytes]] = [
        lambda: png[:33] + samples.png_chunk(b"IDAT", zeros) + png[-12:],
        lambda: png[:33] + samples.png_chunk(b"zTXt", b"Comment\0\0" + zeros) + png[33:],
        lambda: png[:33] + samples.png_chunk(b"iCCP", b"profile\0\0" + zeros) + png[33:],
        lambda: _saved(flat, "PNG"),
        lambda: _saved(flat, "TIFF", compression="tiff_adobe_deflate"),
        lambda: _saved(flat, "TIFF", compression="tiff_lzw"),
        lambda: _saved(flat, "WEBP", lossless=True),
        lambda: jpeg[:scan] + jpeg[scan:-2] * 200 + jpeg[-2:],
        lambda: png[:33] + samples.png_chunk(b"tEXt", b"a\0b") * 20_000 + png[33:],
    ]
    return [make() for make in bombs]
