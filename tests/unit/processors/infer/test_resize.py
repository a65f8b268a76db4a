import numpy as np
import pytest
from PIL import Image

from processors.infer.heads import make_head
from processors.infer.picture import to_original
from processors.infer.resize import Interpolation, centre_offset, put_at, resize, resize_part, shortest_edge_wh
from schemas.modelcard import Preprocessing, Task
from tests.unit.processors.infer.cards import card
from tests.unit.processors.samples import photo


@pytest.mark.parametrize("interpolation", ["linear", "bilinear", "bicubic", "lanczos"])
def test_every_interpolation_gives_the_size_asked_for(interpolation: Interpolation) -> None:
    resized = resize(photo(100, 80), (31, 17), interpolation)
    assert resized.shape == (17, 31, 3)
    assert resized.dtype == np.uint8


def test_pillows_filter_sees_every_pixel_and_opencvs_does_not() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 255
    assert np.ptp(resize(stripes, (8, 8), "bilinear")[:, 2:-2]) <= 1
    assert resize(stripes, (8, 8), "linear").max() == 0


def test_pillow_may_take_bgr_for_rgb() -> None:
    bgr = photo(60, 40)
    rgb = Image.fromarray(bgr[:, :, ::-1].copy()).resize((20, 20), Image.Resampling.BICUBIC)
    assert np.array_equal(resize(bgr, (20, 20), "bicubic"), np.asarray(rgb)[:, :, ::-1])


def test_the_shorter_edge_is_the_one_asked_for() -> None:
    assert shortest_edge_wh((300, 200), 100) == (150, 100)
    assert shortest_edge_wh((200, 333), 100) == (100, 166)
    assert shortest_edge_wh((200, 200), 100) == (100, 100)
    assert shortest_edge_wh((1, 4000), 8) == (8, 32_000)


def test_the_centre_is_cut_as_torchvision_cuts_it() -> None:
    assert centre_offset((150, 100), (100, 100)) == (-25, 0)
    assert centre_offset((101, 100), (100, 100)) == (0, 0)  # half a pixel rounds to even
    assert centre_offset((103, 100), (100, 100)) == (-2, 0)
    assert centre_offset((80, 100), (100, 100)) == (10, 0)


def test_what_sticks_out_is_cut_and_what_is_missing_filled() -> None:
    put = put_at(np.full((4, 10, 3), 7, np.uint8), (-3, 1), (4, 6), 114)
    assert put.shape == (6, 4, 3)
    assert (put[1:5] == 7).all()
    assert (put[[0, 5]] == 114).all()


@pytest.mark.parametrize("size", [(1, 1), (301, 1), (1, 200), (37, 501), (640, 480)])
@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(),
        Preprocessing(resize="stretch", interpolation="bicubic"),
        Preprocessing(resize="shortest-edge", interpolation="bilinear"),
        Preprocessing(resize="shortest-edge", resize_to=40, interpolation="lanczos"),
    ],
)
def test_any_picture_fits_any_input(size: tuple[int, int], preprocessing: Preprocessing) -> None:
    head = make_head(card(Task.CLASSIFY, input_wh=(64, 48), preprocessing=preprocessing))
    prepared = head.prepare(np.full((size[1], size[0], 3), 9, np.uint8))
    assert prepared.tensor.shape == (48, 64, 3)
    assert prepared.tensor.dtype == np.uint8
    assert set(np.unique(prepared.tensor)) <= {9, 114}
    assert prepared.original_wh == size


@pytest.mark.parametrize("resize_by", ["letterbox", "stretch", "shortest-edge"])
def test_the_way_back_leads_to_the_pixel_that_came(resize_by: str) -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[96:104, 146:154] = 255
    head = make_head(
        card(Task.CLASSIFY, input_wh=(96, 96), preprocessing=Preprocessing.model_validate({"resize": resize_by}))
    )
    prepared = head.prepare(picture)
    rows, columns = np.nonzero(prepared.tensor[:, :, 0].astype(int) > 100)
    middle = np.array([[columns.mean() + 0.5, rows.mean() + 0.5]], np.float32)
    assert to_original(middle, prepared)[0] == pytest.approx([150, 100], abs=2)


@pytest.mark.parametrize(("order", "first"), [("rgb", 200), ("bgr", 10)])
def test_channels_come_in_the_cards_order(order: str, first: int) -> None:
    blue = np.full((64, 64, 3), (10, 20, 200), np.uint8)
    head = make_head(card(Task.DETECT, preprocessing=Preprocessing.model_validate({"channel_order": order})))
    assert head.prepare(blue).tensor[0, 0, 0] == first


def test_stacked_numbers_are_scaled_shifted_and_divided() -> None:
    preprocessing = Preprocessing(scale=0.5, mean=(1, 2, 3), deviation=(2, 4, 8))
    head = make_head(card(Task.DETECT, preprocessing=preprocessing))
    pictures = [photo(64, 64, seed) for seed in range(3)]
    batch = head.stack([head.prepare(picture) for picture in pictures])
    rgb = np.stack(pictures)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float64)
    mean, deviation = np.array([1, 2, 3]).reshape(3, 1, 1), np.array([2, 4, 8]).reshape(3, 1, 1)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    assert np.allclose(batch, (rgb * 0.5 - mean) / deviation, atol=1e-6)


def test_plain_scaling_is_bit_equal_to_a_division() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(48).reshape(64, 64, 3)
    head = make_head(card(Task.DETECT))
    numbers = head.stack([head.prepare(ramp)])
    assert np.array_equal(numbers[0].transpose(1, 2, 0)[..., ::-1], ramp.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("interpolation", ["linear", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(3, 2000), (2000, 3), (1, 900), (40, 31)])
def test_a_part_is_what_the_whole_would_show_there(interpolation: Interpolation, size: tuple[int, int]) -> None:
    pixels = photo(*size)
    wh = shortest_edge_wh(size, 16)
    middle = (wh[0] // 2, wh[1] // 2)
    for x, y in [(0, 0), (middle[0] - 8, middle[1] - 8), (wh[0] - 16, wh[1] - 16)]:
        part = resize_part(pixels, wh, (x, y, x + 16, y + 16), interpolation)
        whole = resize(pixels, wh, interpolation)[y : y + 16, x : x + 16]
        assert part.shape == (16, 16, 3)
        assert np.abs(part.astype(int) - whole).max() <= 3


@pytest.mark.parametrize("interpolation", ["linear", "bilinear"])
@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 1), (1, 100_000)])
def test_a_line_of_pixels_does_not_take_gigabytes(interpolation: Interpolation, size: tuple[int, int]) -> None:
    preprocessing = Preprocessing(resize="shortest-edge", interpolation=interpolation)
    head = make_head(card(Task.CLASSIFY, input_wh=(224, 224), preprocessing=preprocessing))
    pixels = np.full((size[1], size[0], 3), 9, np.uint8)
    middle = slice(max(size) // 2 - 3, max(size) // 2 + 3)
    pixels[(slice(None), middle) if size[0] > 1 else middle] = 200
    prepared = head.prepare(pixels)
    assert prepared.tensor.shape == (224, 224, 3)
    assert (prepared.tensor == 200).all()
