"""Photos of the drawn streets: good ones in every format, and ones that fail the checks that they are made to fail."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np
import pillow_heif
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from sightline.demo.sample import Sample, Verdict
from sightline.demo.street import SCENES, Picture, as_picture, draw_street

_FORMATS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    ".jpg": ("image/jpeg", "JPEG", {"quality": 80}),
    ".png": ("image/png", "PNG", {"compress_level": 6}),
    ".webp": ("image/webp", "WEBP", {"quality": 75, "method": 1}),
    ".heic": ("image/heic", "HEIF", {"quality": 50, "enc_params": {"preset": "ultrafast"}}),
}
# Tags of the camera's own directory stand in a directory of their own.
_CAMERA_DIRECTORY = 0x8769
_ORIENTATION, _MAKE, _MODEL = 0x0112, 0x010F, 0x0110
_TIMESTAMP, _ISO, _EXPOSURE_TIME, _F_NUMBER = 0x9003, 0x8827, 0x829A, 0x829D
_CAMERA = {
    _TIMESTAMP: "2026:03:01 14:05:00",
    _ISO: 125,
    _EXPOSURE_TIME: IFDRational(1, 250),
    _F_NUMBER: IFDRational(9, 5),
}


def _smaller(width: int, height: int) -> Callable[[Picture], Picture]:
    return lambda picture: as_picture(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def _same(picture: Picture) -> Picture:
    return picture


def _blurred(picture: Picture) -> Picture:
    return as_picture(cv2.GaussianBlur(picture, (0, 0), 7))


def _shaken(picture: Picture) -> Picture:
    return as_picture(cv2.blur(cv2.blur(picture, (61, 9)), (9, 5)))


def _dark(picture: Picture) -> Picture:
    return as_picture(picture * 0.11)


def _burnt_out(picture: Picture) -> Picture:
    return as_picture(picture * 1.8 + 160.0)


def _foggy(picture: Picture) -> Picture:
    return as_picture(cv2.GaussianBlur(picture, (0, 0), 2) * 0.16 + 165.0)


def _grey(picture: Picture) -> Picture:
    return np.full_like(picture, 128)


@dataclass(frozen=True, slots=True)
class _Photo:
    """How to make one photo. `told` says what its metadata hold: everything, the time alone, or nothing."""

    name: str
    spoil: Callable[[Picture], Picture] = _same
    failed: str = ""
    verdict: str = "accepted"
    told: str = "all"
    orientation: int = 1


_MEDIUM = _smaller(1024, 768)
_PHOTOS = (
    *(_Photo(f"{scene}.jpg") for scene in SCENES),
    _Photo("pothole.heic", _MEDIUM),
    _Photo("bin.webp", _MEDIUM),
    _Photo("graffiti-screenshot.png", _smaller(832, 624), "metadata", told="none"),
    _Photo("lamp-phone-held-upright.jpg", orientation=6),
    _Photo("branch-upside-down.jpg", orientation=3),
    _Photo("flood-from-messenger.jpg", _MEDIUM, "metadata", told="none"),
    _Photo("bin-time-only.jpg", told="time"),
    _Photo("pothole-blurred.jpg", _blurred, "blur"),
    _Photo("lamp-shaken.jpg", _shaken, "blur metadata", "rejected", told="none"),
    _Photo("branch-blurred.webp", lambda picture: _MEDIUM(_blurred(picture)), "blur metadata", "rejected", told="none"),
    _Photo("bin-at-night.jpg", _dark, "blur brightness exposure", "rejected"),
    _Photo("flood-at-night.jpg", _dark, "blur brightness exposure metadata", "rejected", told="none"),
    _Photo("graffiti-burnt-out.jpg", _burnt_out, "blur brightness exposure metadata", "rejected", told="none"),
    _Photo("branch-in-fog.jpg", _foggy, "blur brightness exposure", "rejected"),
    _Photo("lamp-in-fog.jpg", _foggy, "blur brightness exposure metadata", "rejected", told="none"),
    _Photo("pothole-small.jpg", _smaller(720, 540), "resolution"),
    _Photo("graffiti-thumbnail.jpg", _smaller(200, 150), "resolution metadata", told="none"),
    _Photo("flood-thumbnail-blurred.jpg", lambda picture: _smaller(400, 300)(_blurred(picture)),
           "blur resolution metadata", "rejected", told="none"),
    _Photo("bin-lens-covered.jpg", _grey, "blur brightness exposure", "rejected"),
)  # fmt: skip


def draw_photos(seed: int) -> Iterator[Sample]:
    """Yield all photos, one after the other as they are drawn; the same seed gives the same pixels."""
    pillow_heif.register_heif_opener()
    streets = {scene: draw_street(scene, seed + number) for number, scene in enumerate(SCENES)}
    for photo in _PHOTOS:
        path = PurePath(photo.name)
        picture = photo.spoil(streets[path.stem.split("-", 1)[0]])
        media_type, _, _ = _FORMATS[path.suffix]
        expected = Verdict(photo.verdict, frozenset(photo.failed.split()))
        yield Sample(photo.name, _encode(picture, path.suffix, photo), media_type, expected)


def _encode(picture: Picture, suffix: str, photo: _Photo) -> bytes:
    _, name, options = _FORMATS[suffix]
    stored = np.ascontiguousarray(np.rot90(picture, _QUARTERS[photo.orientation]))
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, name, exif=_exif(photo), **options)
    return stream.getvalue()


# How far a picture is turned to the left before it is stored, so that its orientation turns it back.
_QUARTERS: Mapping[int, int] = {1: 0, 3: 2, 6: 1}


def _exif(photo: _Photo) -> bytes:
    """Return an EXIF block, or nothing where the photo is to have none."""
    if photo.told == "none":
        return b""
    tags = Image.Exif()
    if photo.told == "time":
        tags[_CAMERA_DIRECTORY] = {_TIMESTAMP: _CAMERA[_TIMESTAMP]}
    else:
        tags[_ORIENTATION], tags[_MAKE], tags[_MODEL] = photo.orientation, "Sightline", "Demo camera"
        tags[_CAMERA_DIRECTORY] = dict(_CAMERA)
    return tags.tobytes()
