"""Small pictures for tests, good ones and broken ones, with what each broken one must be called."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from schemas.frame import frame_headers
from schemas.headers import Headers


def jpeg(seed: int, width: int = 96, height: int = 72, quality: int = 80) -> bytes:
    """Encode noise: every seed gives other bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    picture = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    return encode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode(extension: str, pixels: np.ndarray, options: list[int] | None = None) -> bytes:
    """Encode BGR or grey pixels."""
    done, data = cv2.imencode(extension, pixels, options or [])
    assert done
    return data.tobytes()


def png(seed: int, width: int = 96, height: int = 72) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return encode(".png", pixels)


def jpeg_claiming(width: int, height: int) -> bytes:
    """Change the size in the frame header: the rest of the file stays small."""
    data = bytearray(jpeg(0))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def truncated_jpeg(seed: int) -> bytes:
    data = jpeg(seed)
    return data[: len(data) * 2 // 3]


def corrupt_jpeg(seed: int) -> bytes:
    """End the scan in its middle; the file goes on and has its proper end."""
    data = jpeg(seed)
    scan = data.index(b"\xff\xda")
    middle = (scan + len(data)) // 2
    return data[:middle] + b"\xff\xd9" + data[middle + 2 :]


def headers(event_id: str, source: str, media_type: str = "image/jpeg", captured_at: datetime | None = None) -> Headers:
    return frame_headers(event_id=event_id, source=source, media_type=media_type, captured_at=captured_at)


@dataclass(frozen=True, slots=True)
class Broken:
    """One way to break a frame, and the code that it must get."""

    code: str
    stage: str
    make: Callable[[int, str, str], tuple[bytes | None, Headers]]  # seed, event id, source


def _value(
    make: Callable[[int], bytes | None], media_type: str = "image/jpeg"
) -> Callable[..., tuple[bytes | None, Headers]]:
    return lambda seed, event_id, source: (make(seed), headers(event_id, source, media_type))


def _without(name: str) -> Callable[..., tuple[bytes | None, Headers]]:
    return lambda seed, event_id, source: (
        jpeg(seed),
        [pair for pair in headers(event_id, source) if pair[0] != name],
    )


def _in_future(seed: int, event_id: str, source: str) -> tuple[bytes | None, Headers]:
    return jpeg(seed), headers(event_id, source, captured_at=datetime.now(UTC) + timedelta(days=2))


TEN_WAYS = (
    Broken("picture_truncated", "inspect", _value(truncated_jpeg)),
    Broken("picture_corrupt", "decode", _value(corrupt_jpeg)),
    Broken("media_type_unknown", "inspect", _value(lambda seed: b"no picture at all, number %d" % seed)),
    Broken("media_type_mismatch", "inspect", _value(jpeg, "image/png")),
    Broken("dimensions_too_large", "inspect", _value(lambda seed: jpeg_claiming(60_000, 60_000) + b"%d" % seed)),
    Broken("value_empty", "frame", _value(lambda _: b"")),
    Broken("value_null", "frame", _value(lambda _: None)),
    Broken("header_missing", "frame", _without("ce_id")),
    Broken("time_in_future", "frame", _in_future),
    Broken("specversion_unknown", "frame", lambda seed, event_id, source: (
        jpeg(seed), [("ce_specversion", b"0.3"), *headers(event_id, source)[1:]]
    )),
)  # fmt: skip
