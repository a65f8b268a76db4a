import random

import piexif
import pytest
from PIL import Image

from processors.exif import orientation_of, orientation_only, read_tags
from processors.inspect import inspect_picture
from processors.metadata import MetadataValue, read_metadata
from schemas.pipeline import MediaType
from tests.unit.processors import samples

FULL = {
    "timestamp": "2024:05:01 10:00:00",
    "camera": "Canon EOS 5",
    "orientation": 1,
    "iso": 100,
    "shutter_speed_s": 0.005,
    "aperture_f": 1.8,
}


def fields(first: dict[int, object] | None = None, camera: dict[int, object] | None = None) -> dict[str, MetadataValue]:
    return read_metadata(read_tags(piexif.dump({"0th": first or {}, "Exif": camera or {}})[6:]))


@pytest.mark.parametrize("media_type", [MediaType.JPEG, MediaType.PNG, MediaType.WEBP, MediaType.HEIC])
def test_all_six_fields_are_found_in_every_container(media_type: MediaType) -> None:
    data = samples.encode(samples.photo(), media_type, samples.exif_block(rich=True))
    picture = inspect_picture(samples.frame(data), samples.ANY_INPUT)
    assert read_metadata(picture.tags) == FULL


def test_a_tiff_carries_the_fields_in_its_own_directories() -> None:
    exif = Image.Exif()
    exif[0x10F], exif[0x132], exif[0x112] = "Canon", "2024:05:01 10:00:00", 3
    exif.get_ifd(0x8769).update({0x8827: 200, 0x829D: 2.8})
    data = samples.encode(samples.photo(), MediaType.TIFF, exif.tobytes()[6:])
    found = read_metadata(inspect_picture(samples.frame(data), samples.ANY_INPUT).tags)
    assert found == {
        "timestamp": "2024:05:01 10:00:00",
        "camera": "Canon",
        "orientation": 3,
        "iso": 200,
        "aperture_f": 2.8,
    }


def test_no_metadata_is_no_fields() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG)
    assert read_metadata(inspect_picture(samples.frame(data), samples.ANY_INPUT).tags) == {}


@pytest.mark.parametrize(
    ("first", "camera", "name", "value"),
    [
        ({306: b"2024:05:01 10:00:00"}, {}, "timestamp", "2024:05:01 10:00:00"),
        ({}, {36868: b"2024:05:01 10:00:01"}, "timestamp", "2024:05:01 10:00:01"),
        ({306: b"2024:01:01 00:00:00"}, {36867: b"2023:01:01 00:00:00"}, "timestamp", "2023:01:01 00:00:00"),
        ({271: b"Acme"}, {}, "camera", "Acme"),
        ({272: b"One"}, {}, "camera", "One"),
        ({271: b"Acme", 272: b"ACME One"}, {}, "camera", "ACME One"),
        ({274: 8}, {}, "orientation", 8),
        ({}, {34855: 0}, "iso", 0),
        ({}, {37377: (8, 1)}, "shutter_speed_s", 1 / 256),
        ({}, {33434: (0, 0), 37377: (1, 1)}, "shutter_speed_s", 0.5),
        ({}, {37378: (4, 1)}, "aperture_f", 4.0),
        ({271: b"A\x01\x07cme\n"}, {}, "camera", "Acme"),
        ({271: b"x" * 5000}, {}, "camera", "x" * 64),
        ({271: "Kaméra".encode()}, {}, "camera", "Kaméra"),
    ],
)
def test_either_tag_gives_the_field(
    first: dict[int, object], camera: dict[int, object], name: str, value: MetadataValue
) -> None:
    expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-5)
    assert fields(first, camera) == {name: expected}


@pytest.mark.parametrize(
    ("first", "camera"),
    [
        ({271: b"", 272: b"   "}, {}),
        ({271: b"\0\0\0\0"}, {}),
        ({306: b"    :  :     :  :  "}, {}),
        ({306: b"0000:00:00 00:00:00"}, {}),
        ({274: 0}, {}),
        ({274: 9}, {}),
        ({}, {33434: (1, 0), 33437: (0, 0)}),
        ({}, {37377: (1, 0), 37378: (5, 0)}),
        ({}, {37377: (2_000_000_000, 1)}),
    ],
)
def test_present_but_empty_counts_as_missing(first: dict[int, object], camera: dict[int, object]) -> None:
    assert fields(first, camera) == {}


def test_camera_tags_that_a_writer_put_into_the_first_directory_count() -> None:
    exif = Image.Exif()
    exif[0x8827], exif[0x9003] = 400, "2024:05:01 10:00:00"
    assert read_metadata(read_tags(exif.tobytes()[6:])) == {"timestamp": "2024:05:01 10:00:00", "iso": 400}


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x112] = 6
    assert orientation_of(read_tags(exif.tobytes()[6:])) == 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_minimal_block_says_its_orientation(orientation: int) -> None:
    assert read_metadata(read_tags(orientation_only(orientation))) == {"orientation": orientation}


def test_broken_blocks_give_less_and_never_raise() -> None:
    block = samples.exif_block(rich=True)
    picker = random.Random(5)
    for length in range(0, len(block), 7):
        read_metadata(read_tags(block[:length]))
    for _ in range(2000):
        broken = bytearray(block)
        for _ in range(picker.randint(1, 8)):
            broken[picker.randrange(len(broken) // 4)] = picker.randrange(256)
        assert set(read_metadata(read_tags(bytes(broken)))) <= FULL.keys()


def test_a_picture_with_broken_exif_is_still_scored() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG, b"II*\0\xff\xff\xff\x7f broken")
    assert b"broken" in data
    assert read_metadata(inspect_picture(samples.frame(data), samples.ANY_INPUT).tags) == {}
