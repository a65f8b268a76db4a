"""What the camera said of the picture: six fields that the metadata check counts.

A field that is present but empty, blank, or a fraction over zero counts as missing.
"""

import math
import re
from collections.abc import Mapping

from processors import exif
from processors.exif import Tags

FIELD_COUNT = 6
MetadataValue = str | int | float
Metadata = Mapping[str, MetadataValue]
_MAX_TEXT = 64
_MAX_APEX = 40  # 2^40 seconds and more is no shutter speed
_REAL_DIGIT = re.compile("[1-9]")


def read_metadata(tags: Tags) -> dict[str, MetadataValue]:
    """Return the fields that are there, at most six: clean text and plain numbers. Never raises.

    `timestamp` as EXIF writes it, `camera`, `orientation` (1 to 8), `iso`, `shutter_speed_s` in seconds,
    `aperture_f` as the f-number.
    """
    fields: dict[str, MetadataValue | None] = {
        "timestamp": _timestamp(tags),
        "camera": _camera(tags),
        "orientation": _orientation(tags),
        "iso": _whole(tags, exif.ISO),
        "shutter_speed_s": _first(_fraction(tags, exif.EXPOSURE_TIME), _apex(tags, exif.SHUTTER_SPEED, -1.0)),
        "aperture_f": _first(_fraction(tags, exif.F_NUMBER), _apex(tags, exif.APERTURE, 0.5)),
    }
    return {name: found for name, found in fields.items() if found is not None}


def _timestamp(tags: Tags) -> str | None:
    """Return the first time that is set; cameras without a clock write zeros, or colons between blanks."""
    for tag in (exif.DATE_TIME_ORIGINAL, exif.DATE_TIME_DIGITIZED, exif.DATE_TIME):
        text = _text(tags, tag)
        if text is not None and _REAL_DIGIT.search(text):
            return text
    return None


def _camera(tags: Tags) -> str | None:
    make, model = _text(tags, exif.MAKE), _text(tags, exif.MODEL)
    if make and model and not model.lower().startswith(make.lower()):
        return f"{make} {model}"
    return model or make


def _orientation(tags: Tags) -> int | None:
    number = _whole(tags, exif.ORIENTATION)
    return number if number in range(1, 9) else None


def _text(tags: Tags, tag: int) -> str | None:
    found = tags.get(tag)
    if not isinstance(found, bytes):
        return None
    text = found.split(b"\0", 1)[0].decode("utf-8", "replace")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:_MAX_TEXT] or None


def _whole(tags: Tags, tag: int) -> int | None:
    found = tags.get(tag)
    number = found[0] if isinstance(found, tuple) and found else None
    return number if isinstance(number, int) else None


def _fraction(tags: Tags, tag: int) -> float | None:
    found = tags.get(tag)
    number = found[0] if isinstance(found, tuple) and found else None
    if isinstance(number, tuple):  # as the standard wants it; some writers use floating point
        number = number[0] / number[1] if number[1] else None
    return None if number is None or not math.isfinite(number) else _plain(number)


def _apex(tags: Tags, tag: int, factor: float) -> float | None:
    """Turn an APEX value (a power of two, EXIF annex C) into seconds or an f-number."""
    power = _fraction(tags, tag)
    return None if power is None or abs(power) > _MAX_APEX else _plain(2.0 ** (factor * power))


def _plain(number: float) -> float:
    """Keep six digits: fractions and powers of two have endless ones."""
    return float(f"{number:.6g}")


def _first(number: float | None, other: float | None) -> float | None:
    return other if number is None else number
