"""Pictures made for tests: every format, with and without metadata, and what stands in them."""

import io
import struct
import time
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

import cv2
import numpy as np
import piexif
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from processors.budget import PixelBudget
from processors.outcome import Context, Failure, Outcome, Success
from processors.pipelines import load_builtin
from schemas.frame import Frame, FrameSettings, Origin
from schemas.identity import sha256_hex
from schemas.pipeline import MIB, InputRules, MediaType, PipelineDefinition

pillow_heif.register_heif_opener()

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
ALL_TYPES = tuple(MediaType)
LOSSLESS = (MediaType.PNG, MediaType.WEBP, MediaType.TIFF)
ANY_INPUT = InputRules(media_types=ALL_TYPES, max_bytes=32 * MIB)
SECRET = b"Secret Harbour"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"
_PILLOW_NAMES = {
    MediaType.JPEG: "JPEG",
    MediaType.PNG: "PNG",
    MediaType.WEBP: "WEBP",
    MediaType.HEIC: "HEIF",
    MediaType.TIFF: "TIFF",
}


def photo(width: int = 160, height: int = 120, seed: int = 0, noise: float = 6.0) -> NDArray[np.uint8]:
    """Draw something photo-like in BGR: smooth at several sizes, with edges and noise, and no symmetry."""
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128.0, np.float32)
    for octave in range(1, 6):
        side = 2**octave
        coarse = random.normal(size=(side, side, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * (70 / octave)
    cv2.circle(picture, (width // 3, height // 4), min(width, height) // 6, (30.0, 200.0, 90.0), -1)
    picture += random.normal(0, noise, (height, width, 1)).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def exif_block(orientation: int | None = None, *, rich: bool = False) -> bytes:
    """Make an EXIF block in TIFF form; a rich one has all six fields, a place, maker data and a thumbnail."""
    first: dict[int, object] = {} if orientation is None else {piexif.ImageIFD.Orientation: orientation}
    if not rich:
        return bytes(piexif.dump({"0th": first})[6:])
    first |= {piexif.ImageIFD.Make: b"Canon", piexif.ImageIFD.Model: b"EOS 5", piexif.ImageIFD.Artist: SECRET}
    first.setdefault(piexif.ImageIFD.Orientation, 1)
    camera = {
        piexif.ExifIFD.DateTimeOriginal: b"2024:05:01 10:00:00",
        piexif.ExifIFD.ISOSpeedRatings: 100,
        piexif.ExifIFD.ExposureTime: (1, 200),
        piexif.ExifIFD.FNumber: (18, 10),
        piexif.ExifIFD.MakerNote: SECRET * 20,
    }
    place = {piexif.GPSIFD.GPSLatitude: ((52, 1), (31, 1), (12, 1)), piexif.GPSIFD.GPSAreaInformation: SECRET}
    thumbnail = io.BytesIO()
    Image.fromarray(photo(32, 24)).save(thumbnail, "JPEG")
    content = {"0th": first, "Exif": camera, "GPS": place, "1st": {}, "thumbnail": thumbnail.getvalue()}
    return bytes(piexif.dump(content)[6:])


def encode(bgr: NDArray[np.uint8], media_type: MediaType, exif: bytes = b"", **options: object) -> bytes:
    """Encode BGR pixels; without loss where the format can."""
    return encode_image(Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1])), media_type, exif, **options)


def encode_image(image: Image.Image, media_type: MediaType, exif: bytes = b"", **options: object) -> bytes:
    """Encode a Pillow picture of any mode, with an EXIF block."""
    lossless: dict[str, object] = {"lossless": True} if media_type is MediaType.WEBP else {}
    if media_type is MediaType.HEIC:
        lossless = {"quality": -1, "chroma": 444}
    if media_type is MediaType.JPEG:
        lossless = {"quality": 92}
    carried: dict[str, object] = {"exif": b"Exif\0\0" + exif} if exif else {}
    stream = io.BytesIO()
    image.save(stream, _PILLOW_NAMES[media_type], **{**lossless, **carried, **options})
    return stream.getvalue()


def oriented(bgr: NDArray[np.uint8], media_type: MediaType, orientation: int) -> bytes:
    """Encode pixels as stored, with an orientation that a reader has to apply."""
    if media_type is MediaType.TIFF:
        return encode(bgr, media_type, tiffinfo={274: orientation})
    return encode(bgr, media_type, exif_block(orientation))


def turned(bgr: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation in plain numpy, from the table of the standard (row 0 and column 0)."""
    return {
        1: bgr,
        2: bgr[:, ::-1],
        3: bgr[::-1, ::-1],
        4: bgr[::-1],
        5: bgr.transpose(1, 0, 2),
        6: bgr[::-1].transpose(1, 0, 2),
        7: bgr[::-1, ::-1].transpose(1, 0, 2),
        8: bgr[:, ::-1].transpose(1, 0, 2),
    }[orientation]


def with_secrets(bgr: NDArray[np.uint8], media_type: MediaType, orientation: int = 1) -> bytes:
    """Encode pixels with everything that stripping must remove, the word of `SECRET` in each."""
    rich = exif_block(orientation, rich=True)
    if media_type is MediaType.JPEG:
        data = encode(bgr, media_type, rich, comment=SECRET, xmp=XMP)
        iptc = b"\xff\xed" + struct.pack(">H", 2 + 14 + len(SECRET)) + b"Photoshop 3.0\0" + SECRET
        return data[:20] + iptc + data[20:] + SECRET  # after the 20 bytes of start marker and JFIF header
    if media_type is MediaType.PNG:
        data = encode(bgr, media_type, rich)
        text = png_chunk(b"tEXt", b"Comment\0" + SECRET) + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
        return data[:33] + text + data[33:] + SECRET
    if media_type is MediaType.TIFF:
        tags = {274: orientation, 270: SECRET.decode(), 315: SECRET.decode(), 700: XMP, 33723: SECRET}
        return encode(bgr, media_type, tiffinfo=tags) + SECRET
    if media_type is MediaType.WEBP:
        return encode(bgr, media_type, rich, xmp=XMP) + SECRET
    return encode(bgr, media_type, rich, xmp=XMP) + struct.pack(">I4s", 8 + len(SECRET), b"mpvd") + SECRET


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Make a PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def frame(
    data: bytes | None, number: int = 0, media_type: str | None = None, settings: FrameSettings | None = None
) -> Frame:
    """Wrap bytes as a frame."""
    return Frame(
        frame_id=f"frame-{number}",
        event_id=f"event-{number}",
        source="/cameras/north",
        captured_at=NOW,
        origin=Origin("frames.civic", 0, number),
        value=data,
        sha256=None if data is None else sha256_hex(data),
        media_type=media_type,
        settings=settings or FrameSettings(),
    )


def context(definition: PipelineDefinition | None = None, pixels: int = 64_000_000) -> Context:
    """Make surroundings with a clock that stands still and a real timer."""
    return Context(definition or load_builtin("civic"), lambda: NOW, time.perf_counter, PixelBudget(pixels))


def successes(outcomes: Sequence[Outcome]) -> list[Success]:
    """Return the outcomes that are results."""
    return [outcome for outcome in outcomes if isinstance(outcome, Success)]


def failures(outcomes: Sequence[Outcome]) -> list[Failure]:
    """Return the outcomes that are failures."""
    return [outcome for outcome in outcomes if isinstance(outcome, Failure)]
