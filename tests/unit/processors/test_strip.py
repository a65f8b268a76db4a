import io
import struct

import numpy as np
import piexif
import pytest
from PIL import Image

from processors.decode.pictures import decode_picture
from processors.inspect import Inspected, inspect_picture
from processors.metadata import read_metadata
from processors.strip import strip_metadata, strip_picture
from schemas.errors import Code, InputError
from schemas.pipeline import MediaType
from tests.unit.processors import samples


def inspected(data: bytes) -> Inspected:
    return inspect_picture(samples.frame(data), samples.ANY_INPUT)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_everything_beyond_the_pixels_goes_and_the_pixels_stay(media_type: MediaType, orientation: int) -> None:
    data = samples.with_secrets(samples.photo(), media_type, orientation)
    picture = inspected(data)
    assert data.count(samples.SECRET) >= 3
    assert b"Canon" in data or media_type is MediaType.TIFF
    stripped = strip_picture(picture)
    assert samples.SECRET not in stripped
    assert b"Canon" not in stripped
    again = inspected(stripped)
    assert set(read_metadata(again.tags)) <= {"orientation"}
    assert again.upright_wh == picture.upright_wh
    assert np.array_equal(decode_picture(again), decode_picture(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_other_readers_turn_the_stripped_picture_as_before(media_type: MediaType, orientation: int) -> None:
    data = samples.with_secrets(samples.photo(), media_type, orientation)
    stripped = strip_metadata(data, media_type)
    expected = samples.turned(samples.photo(), orientation)
    with Image.open(io.BytesIO(stripped)) as image:
        found = image.getexif().get(0x112, 1)
        image.load()
        if media_type in samples.LOSSLESS:
            stored = np.asarray(image.convert("RGB"))[:, :, ::-1]
            by_pillow = media_type is MediaType.TIFF  # which turns these by itself
            assert np.array_equal(stored if by_pillow else samples.turned(stored, orientation), expected)
            assert found == orientation


@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_stripping_twice_changes_nothing_more(media_type: MediaType) -> None:
    once = strip_metadata(samples.with_secrets(samples.photo(), media_type, 3), media_type)
    assert strip_metadata(once, media_type) == once


@pytest.mark.parametrize("media_type", [MediaType.JPEG, MediaType.PNG, MediaType.WEBP])
def test_a_clean_picture_is_handed_back_as_it_is(media_type: MediaType) -> None:
    picture = inspected(samples.encode(samples.photo(), media_type))
    assert strip_picture(picture) is picture.data


@pytest.mark.parametrize("media_type", [kind for kind in samples.ALL_TYPES if kind is not MediaType.HEIC])
def test_the_colour_profile_stays(media_type: MediaType) -> None:
    profile = b"\0\0\0\x80fake profile for this test" + bytes(100)
    data = samples.encode(samples.photo(), media_type, icc_profile=profile)
    with Image.open(io.BytesIO(strip_metadata(data, media_type))) as image:
        assert image.info["icc_profile"] == profile


def test_jpeg_keeps_jfif_and_adobe_segments_and_loses_all_other_application_data() -> None:
    cmyk = samples.encode_image(Image.fromarray(samples.photo()).convert("CMYK"), MediaType.JPEG)
    assert b"\xff\xee" in cmyk
    assert strip_metadata(cmyk, MediaType.JPEG) == cmyk
    picture = samples.with_secrets(samples.photo(), MediaType.JPEG)
    markers = [part.kind for part in inspected(strip_metadata(picture, MediaType.JPEG)).structure.parts]
    assert {kind for kind in markers if 0xE0 <= kind[0] <= 0xEF or kind[0] == 0xFE} == {b"\xe0"}


def test_jfif_thumbnail_goes() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG)
    assert data[2:4] == b"\xff\xe0"
    thumbnail = b"\x02\x01" + samples.SECRET[:6]
    with_thumbnail = data[:4] + struct.pack(">H", 16 + 6) + data[6:18] + thumbnail + data[20:]
    assert strip_metadata(with_thumbnail, MediaType.JPEG) == data


def test_comments_between_the_scans_of_a_progressive_jpeg_go() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG, progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(samples.SECRET) + 2) + samples.SECRET + b"\xff\xd9"
    assert strip_metadata(data[:second] + comment + data[second:], MediaType.JPEG) == data


def test_the_pictures_after_the_first_of_a_tiff_go() -> None:
    pages = [Image.fromarray(samples.photo(seed=seed)) for seed in (1, 2)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    stripped = strip_metadata(stream.getvalue(), MediaType.TIFF)
    assert len(stripped) == len(stream.getvalue())
    with Image.open(io.BytesIO(stripped)) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert np.array_equal(np.asarray(image), np.asarray(pages[0]))


@pytest.mark.parametrize("media_type", [MediaType.HEIC, MediaType.TIFF])
def test_containers_full_of_offsets_keep_their_length(media_type: MediaType) -> None:
    data = samples.with_secrets(samples.photo(), media_type, 6)
    assert len(strip_metadata(data, media_type)) == len(data)


def test_the_minimal_exif_holds_the_orientation_only() -> None:
    stripped = strip_metadata(samples.with_secrets(samples.photo(), MediaType.JPEG, 8), MediaType.JPEG)
    tables = piexif.load(stripped)
    assert tables["0th"] == {piexif.ImageIFD.Orientation: 8}
    assert not any(tables[name] for name in ("Exif", "GPS", "1st", "Interop"))
    assert tables["thumbnail"] is None


def test_stripping_a_damaged_container_says_so() -> None:
    data = samples.encode(samples.photo(), MediaType.PNG)
    with pytest.raises(InputError) as caught:
        strip_metadata(data[:-20], MediaType.PNG)
    assert caught.value.code is Code.PICTURE_TRUNCATED
