import io
import struct
import tracemalloc
from dataclasses import replace

import pytest
from PIL import Image

from processors.inspect import Inspected, inspect_picture
from schemas.errors import Code, InputError, Stage
from schemas.pipeline import InputRules, MediaType
from tests.unit.processors import samples


def inspected(data: bytes | None, media_type: str | None = None, rules: InputRules = samples.ANY_INPUT) -> Inspected:
    return inspect_picture(samples.frame(data, media_type=media_type), rules)


def code_of(data: bytes | None, media_type: str | None = None, rules: InputRules = samples.ANY_INPUT) -> Code:
    with pytest.raises(InputError) as caught:
        inspected(data, media_type, rules)
    assert caught.value.stage is Stage.INSPECT
    assert len(caught.value.reason) < 1024
    return caught.value.code


@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_a_whole_picture_is_known_by_its_bytes(media_type: MediaType) -> None:
    data = samples.encode(samples.photo(161, 122), media_type)
    picture = inspected(data)
    assert picture.media_type is media_type
    assert picture.stored_wh == picture.upright_wh == (161, 122)
    assert picture.pixels >= 161 * 122
    assert picture.orientation == 1
    assert picture.sha256 == samples.frame(data).sha256


@pytest.mark.parametrize("media_type", [kind for kind in samples.ALL_TYPES if kind is not MediaType.HEIC])
def test_orientation_is_left_to_the_decoding_stage(media_type: MediaType) -> None:
    picture = inspected(samples.oriented(samples.photo(), media_type, 6))
    assert picture.orientation == 6
    assert picture.stored_wh == (160, 120)
    assert picture.upright_wh == (120, 160)


def test_the_hash_is_computed_where_a_claim_check_left_it_open() -> None:
    data = samples.encode(samples.photo(), MediaType.PNG)
    claimed = replace(samples.frame(data), sha256=None, dataref="s3://bucket/key")
    assert inspect_picture(claimed, samples.ANY_INPUT).sha256 == samples.frame(data).sha256


def test_no_value_and_an_empty_one_are_told_apart() -> None:
    assert code_of(None) is Code.VALUE_NULL
    assert code_of(b"") is Code.VALUE_EMPTY


def test_the_size_limit_is_inclusive() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG)
    exact = InputRules(media_types=samples.ALL_TYPES, max_bytes=len(data))
    assert inspected(data, rules=exact).stored_wh == (160, 120)
    smaller = InputRules(media_types=samples.ALL_TYPES, max_bytes=len(data) - 1)
    assert code_of(data, rules=smaller) is Code.PICTURE_TOO_LARGE


@pytest.mark.parametrize("data", [b"hello, world, this is text", b"\x00" * 64, b"\xff\xd8", b"\x89PN"])
def test_noise_is_of_unknown_type(data: bytes) -> None:
    assert code_of(data) is Code.MEDIA_TYPE_UNKNOWN


@pytest.mark.parametrize("name", ["GIF", "BMP", "AVIF", "PDF", "JPEG2000", "ICO"])
def test_known_formats_without_a_decoder_are_not_allowed(name: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(samples.photo(32, 32)).save(stream, name)
    assert code_of(stream.getvalue()) is Code.MEDIA_TYPE_NOT_ALLOWED


@pytest.mark.parametrize("brands", [b"avif\0\0\0\0mif1avif", b"mif1\0\0\0\0mif1avif", b"isom\0\0\2\0isommp41"])
def test_iso_files_that_are_not_heic_reach_no_decoder(brands: bytes) -> None:
    assert code_of(struct.pack(">I4s", 8 + len(brands), b"ftyp") + brands) is Code.MEDIA_TYPE_NOT_ALLOWED


def test_heic_under_a_structural_brand_is_heic() -> None:
    data = samples.encode(samples.photo(), MediaType.HEIC)
    assert inspected(data[:8] + b"mif1" + data[12:]).media_type is MediaType.HEIC


def test_a_format_off_the_pipelines_list_is_not_allowed() -> None:
    only_png = InputRules(media_types=(MediaType.PNG,))
    assert code_of(samples.encode(samples.photo(), MediaType.JPEG), rules=only_png) is Code.MEDIA_TYPE_NOT_ALLOWED


@pytest.mark.parametrize("declared", [None, "application/octet-stream", "image/jpeg", "image/jpg"])
def test_a_jpeg_may_be_declared_so(declared: str | None) -> None:
    assert inspected(samples.encode(samples.photo(), MediaType.JPEG), declared).media_type is MediaType.JPEG


@pytest.mark.parametrize("declared", ["image/heic", "image/heif"])
def test_heic_may_be_declared_so(declared: str) -> None:
    assert inspected(samples.encode(samples.photo(), MediaType.HEIC), declared).media_type is MediaType.HEIC


@pytest.mark.parametrize("declared", ["image/png", "text/plain", "video/mp4"])
def test_another_declared_type_is_a_mismatch(declared: str) -> None:
    assert code_of(samples.encode(samples.photo(), MediaType.JPEG), declared) is Code.MEDIA_TYPE_MISMATCH


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(samples.encode(samples.photo(), MediaType.JPEG))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bombs() -> dict[str, bytes]:
    png = samples.encode(samples.photo(), MediaType.PNG)
    header = samples.png_chunk(b"IHDR", struct.pack(">II", 60000, 60000) + png[24:29])
    tiff = bytearray(samples.encode(samples.photo(), MediaType.TIFF))
    directory = struct.unpack_from("<I", tiff, 4)[0]
    tiff[directory + 2 : directory + 14] = struct.pack("<HHII", 256, 4, 1, 60000)
    heic = bytearray(samples.encode(samples.photo(), MediaType.HEIC))
    at = heic.index(b"ispe") + 8
    heic[at : at + 8] = struct.pack(">II", 60000, 60000)
    canvas = b"VP8X" + struct.pack("<IB3s", 10, 0, b"") + (59999).to_bytes(3, "little") * 2
    webp = samples.encode(samples.photo(), MediaType.WEBP)
    body = b"WEBP" + canvas + webp[12:]
    return {
        "jpeg": jpeg_claiming(60000, 60000),
        "jpeg cut": jpeg_claiming(60000, 60000)[:700],
        "png": png[:8] + header + png[33:],
        "webp": b"RIFF" + struct.pack("<I", len(body)) + body,
        "tiff": bytes(tiff),
        "heic": bytes(heic),
    }


@pytest.mark.parametrize("name", bombs())
def test_a_header_that_claims_too_much_is_refused_without_taking_memory(name: str) -> None:
    data = bombs()[name]
    tracemalloc.start()
    try:
        assert code_of(data) is Code.DIMENSIONS_TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_heic_that_hides_a_larger_picture_behind_a_small_size_is_refused() -> None:
    data = bytearray(samples.encode(samples.photo(640, 480), MediaType.HEIC))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 16, 16)
    rules = InputRules(media_types=samples.ALL_TYPES, max_pixels=100_000)
    assert code_of(bytes(data), rules=rules) is Code.DIMENSIONS_TOO_LARGE
    assert inspected(bytes(data)).pixels >= 640 * 480


def test_each_dimension_limit_is_inclusive() -> None:
    data = samples.encode(samples.photo(160, 120), MediaType.PNG)
    exact = InputRules(media_types=samples.ALL_TYPES, max_side=160, max_pixels=19_200)
    assert inspected(data, rules=exact).pixels == 19_200
    for rules in (
        InputRules(media_types=samples.ALL_TYPES, max_side=159),
        InputRules(media_types=samples.ALL_TYPES, max_pixels=19_199),
    ):
        assert code_of(data, rules=rules) is Code.DIMENSIONS_TOO_LARGE


@pytest.mark.parametrize("share", [0.35, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_a_cut_picture_is_truncated(media_type: MediaType, share: float) -> None:
    data = samples.encode(samples.photo(), media_type)
    assert code_of(data[: int(len(data) * share)]) is Code.PICTURE_TRUNCATED


@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_a_picture_without_its_last_bytes_is_truncated(media_type: MediaType) -> None:
    data = samples.encode(samples.photo(), media_type)
    # The directory of a TIFF by Pillow comes first, so its last bytes are pixels as well.
    assert code_of(data[:-2]) is Code.PICTURE_TRUNCATED


@pytest.mark.parametrize("media_type", [MediaType.JPEG, MediaType.PNG, MediaType.WEBP, MediaType.TIFF])
def test_bytes_after_the_end_do_no_harm(media_type: MediaType) -> None:
    assert inspected(samples.encode(samples.photo(), media_type) + b"\xff\xd8 trailing").stored_wh == (160, 120)


@pytest.mark.parametrize("at", [20, 41 + 1000])
def test_a_png_whose_critical_checksum_does_not_fit_is_corrupt(at: int) -> None:
    data = bytearray(samples.encode(samples.photo(), MediaType.PNG))
    data[at] ^= 0x10
    assert code_of(bytes(data)) is Code.PICTURE_CORRUPT


def test_a_jpeg_with_a_broken_segment_chain_is_corrupt() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG)
    assert code_of(data[:20] + b"\0" + data[21:]) is Code.PICTURE_CORRUPT


def test_a_jpeg_with_thousands_of_scans_is_corrupt() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG)
    scan = data[data.index(b"\xff\xda") : -2]
    assert code_of(data[:-2] + scan[:12] * 5000 + b"\xff\xd9") is Code.PICTURE_CORRUPT


def test_a_jpeg_without_a_scan_is_corrupt() -> None:
    data = samples.encode(samples.photo(), MediaType.JPEG)
    assert code_of(data[: data.index(b"\xff\xda")] + b"\xff\xd9") is Code.PICTURE_CORRUPT


def test_a_webp_still_of_another_size_than_its_canvas_is_corrupt() -> None:
    canvas = b"VP8X" + struct.pack("<IB3s", 10, 0, b"") + (99).to_bytes(3, "little") * 2
    body = b"WEBP" + canvas + samples.encode(samples.photo(), MediaType.WEBP)[12:]
    assert code_of(b"RIFF" + struct.pack("<I", len(body)) + body) is Code.PICTURE_CORRUPT


def test_tiff_strips_that_overlap_beyond_measure_are_corrupt() -> None:
    data = samples.encode(samples.photo(64, 64), MediaType.TIFF, compression="raw")
    directory = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, directory)[0]
    entries = [data[directory + 2 + number * 12 :][:12] for number in range(count)]
    table = struct.pack("<II", 8, 8) + struct.pack("<II", *[len(data) - 100] * 2)
    replaced = {
        273: struct.pack("<HHII", 273, 4, 2, len(data)),
        279: struct.pack("<HHII", 279, 4, 2, len(data) + 8),
    }
    rows = [replaced.get(struct.unpack_from("<H", entry)[0], entry) for entry in entries]
    start = len(data) + len(table)
    new = (
        data[:4]
        + struct.pack("<I", start)
        + data[8:]
        + table
        + struct.pack("<H", len(rows))
        + b"".join(rows)
        + bytes(4)
    )
    assert code_of(new) is Code.PICTURE_CORRUPT


def test_reasons_never_quote_the_input() -> None:
    with pytest.raises(InputError) as caught:
        inspected(samples.encode(samples.photo(), MediaType.JPEG), "image/x-jane-doe")
    assert "jane" not in caught.value.reason
