"""Removes what a picture says beyond its pixels, without decoding or re-encoding them.

Out go EXIF (with places and thumbnails), XMP, IPTC, comments, texts, maker data, and whatever follows the
picture's end. What rendering needs stays: colour profiles, gamma, and the orientation, as the only EXIF tag.
"""

from collections.abc import Callable, Mapping

from processors.exif import orientation_of, read_tags
from processors.inspect import WALKERS, Inspected
from processors.strip.heic import strip_heic
from processors.strip.jpeg import strip_jpeg
from processors.strip.png import strip_png
from processors.strip.tiff import strip_tiff
from processors.strip.webp import strip_webp
from schemas.pipeline import MediaType

_STRIPPERS: Mapping[MediaType, Callable[..., bytes]] = {
    MediaType.JPEG: strip_jpeg,
    MediaType.PNG: strip_png,
    MediaType.WEBP: strip_webp,
    MediaType.HEIC: strip_heic,
    MediaType.TIFF: strip_tiff,
}


def strip_picture(picture: Inspected) -> bytes:
    """Return the picture's bytes without metadata; the same object where there is nothing to remove."""
    return _STRIPPERS[picture.media_type](picture.data, picture.structure, picture.orientation)


def strip_metadata(data: bytes, media_type: MediaType) -> bytes:
    """Return `data` without metadata, of whatever dimensions it is.

    Raises InputError of stage `inspect` when the container is truncated or corrupt.
    """
    structure = WALKERS[media_type](data, lambda _width, _height: None)
    return _STRIPPERS[media_type](data, structure, orientation_of(read_tags(structure.exif)))
