"""Second stage: from an inspected still to pixels.

Pixels are uint8, BGR, height x width x 3, contiguous, writable. Alpha is dropped, of 16 bits the high byte is kept.
"""

from collections.abc import Callable, Mapping
from typing import cast

import cv2
import numpy as np
import pillow_heif
import simplejpeg
from cv2.typing import MatLike
from numpy.typing import NDArray

from processors.containers.tiff import TiffStructure, for_plain_decoding
from processors.inspect import Inspected
from schemas.errors import Code, InputError, Stage
from schemas.pipeline import MediaType

Pixels = NDArray[np.uint8]

# cv2 would otherwise turn the pixels by EXIF, and we a second time.
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_TRANSPOSED = range(5, 9)
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # to cv2's code: 0 upside down, 1 left to right, -1 both


def decode_picture(picture: Inspected) -> Pixels:
    """Decode a picture and apply its orientation; as `decode_stored` otherwise."""
    return turn_upright(decode_stored(picture), picture.orientation)


def decode_stored(picture: Inspected) -> Pixels:
    """Decode a picture as stored: `picture.orientation` is still to be applied.

    Raises InputError of stage `decode` when the decoder refuses it or gives another size than was inspected.
    Blocks for the whole decoding, without the interpreter's lock. MemoryError and unknown errors pass through.
    """
    try:
        pixels = _DECODERS[picture.media_type](picture)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise _undecodable("the decoder refuses the data") from None
    # What simplejpeg and pillow-heif raise for bad data; both name no class of their own.
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError):
        raise _undecodable("the decoder refuses the data") from None
    wanted = picture.upright_wh if picture.structure.turned_by_decoder else picture.stored_wh
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[1::-1] != wanted:  # noqa: PLR2004
        raise _undecodable("decoding gives other dimensions or samples than the header says")
    return pixels


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation (1 to 8) to stored pixels."""
    if orientation in _TRANSPOSED:
        pixels = cast("Pixels", cv2.transpose(pixels))
    flip = _FLIPS.get(orientation)
    return pixels if flip is None else cast("Pixels", cv2.flip(pixels, flip))


def _decode_jpeg(picture: Inspected) -> Pixels:
    # Same pixels as OpenCV's own decoder in two thirds of its time; strict refuses damage that it would grey out.
    decoded = simplejpeg.decode_jpeg(picture.data, "BGR", fastdct=False, fastupsample=False, strict=True)
    return cast("Pixels", decoded)


def _decode_by_opencv(picture: Inspected) -> Pixels:
    return cast("Pixels", _imdecode(picture.data, _AS_STORED))


def _decode_tiff(picture: Inspected) -> Pixels:
    """With any depth allowed, since OpenCV's own way from 16 bits to 8 rounds instead of keeping the high byte."""
    data = for_plain_decoding(picture.data, cast("TiffStructure", picture.structure))
    pixels = _imdecode(data, _AS_STORED | cv2.IMREAD_ANYDEPTH)
    if pixels.dtype == np.uint16:
        return (cast("NDArray[np.uint16]", pixels) >> 8).astype(np.uint8)
    return cast("Pixels", pixels)


def _imdecode(data: bytes, flags: int) -> MatLike:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if decoded is None:
        raise ValueError("undecodable")
    return decoded


def _decode_heic(picture: Inspected) -> Pixels:
    file = pillow_heif.open_heif(picture.data, convert_hdr_to_8bit=True, bgr_mode=True)
    if not len(file):  # it skips items that it cannot read
        raise ValueError("no picture")
    decoded = np.asarray(file)
    if decoded.ndim == 2:  # noqa: PLR2004 - grey
        return cast("Pixels", cv2.cvtColor(decoded, cv2.COLOR_GRAY2BGR))
    return np.array(decoded[:, :, :3], order="C")  # the library's own memory may not be drawn on


def _undecodable(reason: str) -> InputError:
    return InputError(Code.PICTURE_CORRUPT, Stage.DECODE, reason)


_DECODERS: Mapping[MediaType, Callable[[Inspected], Pixels]] = {
    MediaType.JPEG: _decode_jpeg,
    MediaType.PNG: _decode_by_opencv,
    MediaType.WEBP: _decode_by_opencv,
    MediaType.TIFF: _decode_tiff,
    MediaType.HEIC: _decode_heic,
}
