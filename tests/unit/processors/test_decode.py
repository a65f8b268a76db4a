import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from processors.decode.pictures import decode_picture, decode_stored, turn_upright
from processors.inspect import Inspected, inspect_picture
from schemas.errors import Code, InputError, Stage
from schemas.pipeline import MediaType
from tests.unit.processors import samples


def inspected(data: bytes) -> Inspected:
    return inspect_picture(samples.frame(data), samples.ANY_INPUT)


def decoded(data: bytes) -> NDArray[np.uint8]:
    return decode_picture(inspected(data))


@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_pixels_are_upright_bgr_of_the_right_shape(media_type: MediaType) -> None:
    bgr = samples.photo()
    pixels = decoded(samples.encode(bgr, media_type))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    difference = np.abs(pixels.astype(int) - bgr)
    assert difference.max() == 0 if media_type in samples.LOSSLESS else difference.mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_orientation_is_applied_exactly_once(media_type: MediaType, orientation: int) -> None:
    bgr = samples.photo()
    plain = decoded(samples.encode(bgr, media_type))
    data = samples.oriented(bgr, media_type, orientation)
    pixels = decoded(data)
    assert np.array_equal(pixels, samples.turned(plain, orientation))
    assert pixels.shape[1::-1] == inspected(data).upright_wh


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_as_stored_has_its_size_before_rotation(orientation: int) -> None:
    picture = inspected(samples.oriented(samples.photo(), MediaType.HEIC, orientation))
    assert picture.stored_wh == (160, 120)
    assert picture.upright_wh == ((120, 160) if orientation > 4 else (160, 120))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(orientation: int) -> None:
    image = Image.fromarray(samples.photo(7, 5))
    image.getexif()[0x112] = orientation
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=image.getexif())
    with Image.open(stream) as reread:
        from_pillow = np.asarray(ImageOps.exif_transpose(reread))
    assert np.array_equal(turn_upright(samples.photo(7, 5), orientation), from_pillow)


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_of_16_bits_the_high_byte_is_kept(extension: str, channels: int) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (50, 60, channels), np.uint16)
    data = cv2.imencode(extension, deep)[1].tobytes()
    expected = np.broadcast_to(deep[:, :, :3] >> 8, (50, 60, 3)).astype(np.uint8)
    assert np.array_equal(decoded(data), expected)


@pytest.mark.parametrize("media_type", [MediaType.PNG, MediaType.WEBP, MediaType.TIFF, MediaType.HEIC])
def test_alpha_is_dropped(media_type: MediaType) -> None:
    rgba = np.dstack([samples.photo(), np.full((120, 160), 200, np.uint8)])
    pixels = decoded(samples.encode_image(Image.fromarray(rgba), media_type))
    assert np.abs(pixels[:, :, ::-1].astype(int) - rgba[:, :, :3]).max() <= (4 if media_type is MediaType.HEIC else 0)


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA"])
@pytest.mark.parametrize("media_type", [MediaType.PNG, MediaType.TIFF])
def test_grey_palette_and_bilevel_become_bgr(media_type: MediaType, mode: str) -> None:
    image = Image.fromarray(samples.photo()[:, :, ::-1]).convert(mode)
    expected = np.asarray(image.convert("RGB"))[:, :, ::-1]
    assert np.array_equal(decoded(samples.encode_image(image, media_type)), expected)


@pytest.mark.parametrize("media_type", [MediaType.JPEG, MediaType.HEIC])
def test_grey_jpeg_and_heic_become_bgr(media_type: MediaType) -> None:
    image = Image.fromarray(samples.photo()).convert("L")
    pixels = decoded(samples.encode_image(image, media_type))
    assert np.array_equal(pixels[:, :, 0], pixels[:, :, 2])
    assert np.abs(pixels[:, :, 0].astype(int) - np.asarray(image)).mean() < 4


def by_opencv(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_cmyk_jpeg_gives_the_pixels_that_opencv_gives() -> None:
    data = samples.encode_image(Image.fromarray(samples.photo()).convert("CMYK"), MediaType.JPEG)
    assert np.array_equal(decoded(data), by_opencv(data))


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 3}, {"subsampling": 0}])
def test_jpeg_kinds_decode_as_opencv_decodes_them(options: dict[str, Any]) -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG, **options)
    assert np.array_equal(decoded(data), by_opencv(data))


def test_one_pixel_decodes() -> None:
    one = np.full((1, 1, 3), 77, np.uint8)
    assert np.array_equal(decoded(samples.encode(one, MediaType.PNG)), one)


def decode_error(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        decode_stored(inspected(data))
    assert caught.value.stage is Stage.DECODE
    return caught.value


def test_a_jpeg_whose_scan_is_cut_is_corrupt_even_with_an_end_marker() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG)
    assert decode_error(data[: len(data) // 2] + b"\xff\xd9").code is Code.PICTURE_CORRUPT


def test_a_png_whose_data_is_cut_within_whole_chunks_is_corrupt() -> None:
    data = samples.encode(samples.photo(), MediaType.PNG)
    header = data[8:33]
    cut = header + samples.png_chunk(b"IDAT", data[41:500]) + samples.png_chunk(b"IEND", b"")
    assert decode_error(data[:8] + cut).code is Code.PICTURE_CORRUPT


def test_a_webp_whose_bitstream_is_cut_within_a_whole_chunk_is_corrupt() -> None:
    bitstream = samples.encode(samples.photo(), MediaType.WEBP)[20:1020]
    riff = b"WEBPVP8L" + struct.pack("<I", len(bitstream)) + bitstream
    assert decode_error(b"RIFF" + struct.pack("<I", len(riff)) + riff).code is Code.PICTURE_CORRUPT


def test_a_heic_whose_pixels_are_noise_is_corrupt() -> None:
    data = bytearray(samples.encode(samples.photo(), MediaType.HEIC))
    start = data.index(b"mdat") + 4
    data[start:] = b"\xa5" * (len(data) - start)
    assert decode_error(bytes(data)).code is Code.PICTURE_CORRUPT


def test_samples_that_are_no_whole_bytes_are_corrupt() -> None:
    data = cv2.imencode(".tiff", np.ones((20, 30, 3), np.float32))[1].tobytes()
    assert decode_error(data).code is Code.PICTURE_CORRUPT


def test_running_out_of_memory_is_no_fault_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        error = cv2.error("no memory")
        error.code = cv2.Error.StsNoMem
        raise error

    picture = inspected(samples.encode(samples.photo(), MediaType.PNG))
    monkeypatch.setattr(cv2, "imdecode", fail)
    with pytest.raises(MemoryError):
        decode_stored(picture)
