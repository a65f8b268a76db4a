import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.infer.interface import Floats
from processors.infer.masks import Mask, Ring, join, mask_in_box, rings

SIDE = 64
EVERYTHING = np.array([0, 0, SIDE, SIDE], np.float32)


def _prototypes(seed: int, count: int = 3, side: int = 16) -> Floats:
    coarse = np.random.default_rng(seed).normal(size=(side // 4, side // 4, count)).astype(np.float32)
    fine = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(fine.transpose(2, 0, 1), np.float32)


def _pasted(mask: Mask) -> np.ndarray:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    (x, y), (height, width) = mask.corner_xy, mask.pixels.shape
    canvas[y : y + height, x : x + width] = mask.pixels
    return canvas


def _whole(coefficients: Floats, prototypes: Floats) -> np.ndarray:
    """Do it the dear way: everything at full size."""
    logits = np.tensordot(coefficients, prototypes, axes=1)
    enlarged = cv2.resize(logits, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return (enlarged > 0).astype(np.uint8)


def _filled(*pieces: Ring) -> np.ndarray:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for piece in pieces:
        cv2.fillPoly(canvas, [piece], (1,))
    return canvas


EDGE = st.floats(-20, SIDE + 20, width=32)


@given(st.integers(0, 50), EDGE, EDGE, EDGE, EDGE)
def test_inside_the_box_it_is_the_mask_of_the_whole_picture(
    seed: int, x1: float, y1: float, x2: float, y2: float
) -> None:
    coefficients = np.array([1, -2, 0.5], np.float32)
    prototypes = _prototypes(seed)
    mask = mask_in_box(coefficients, prototypes, np.array([x1, y1, x2, y2], np.float32), (SIDE, SIDE))
    index = np.arange(SIDE)
    inside = ((index >= y1) & (index < y2))[:, None] & ((index >= x1) & (index < x2))
    assert np.array_equal(_pasted(mask), _whole(coefficients, prototypes) * inside)


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (9, 9, 5, 5), (-20, -20, -5, -5), (70, 0, 90, 9), (5.2, 5.2, 5.8, 5.8)])
def test_a_box_without_pixels_has_an_empty_mask(box: tuple[float, ...]) -> None:
    mask = mask_in_box(
        np.ones(1, np.float32), np.ones((1, 16, 16), np.float32), np.array(box, np.float32), (SIDE, SIDE)
    )
    assert rings(mask) == []


def test_an_empty_mask_has_no_rings() -> None:
    mask = mask_in_box(-np.ones(1, np.float32), np.ones((1, 16, 16), np.float32), EVERYTHING, (SIDE, SIDE))
    assert rings(mask) == []


def test_rings_enclose_the_mask_where_it_lies() -> None:
    pixels = np.zeros((20, 30), np.uint8)
    pixels[3:9, 4:20] = 1
    pixels[12:18, 22:28] = 1
    mask = Mask(pixels, (10, 7))
    pieces = rings(mask)
    assert len(pieces) == 2
    assert np.array_equal(_filled(*pieces), _pasted(mask))


def test_holes_are_filled_and_single_pixels_are_points() -> None:
    pixels = np.zeros((20, 30), np.uint8)
    pixels[3:12, 3:12] = 1
    pixels[6:8, 6:8] = 0
    pixels[15, 20] = 1
    point, square = sorted(rings(Mask(pixels, (0, 0))), key=len)
    assert point.tolist() == [[20, 15]]
    assert _filled(square).sum() == 81


def test_one_piece_is_its_own_ring() -> None:
    ring = np.array([[1, 1], [5, 1], [5, 5]], np.int32)
    assert join([ring]) is ring


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, 6), st.integers(1, 6)), min_size=1))
def test_joined_pieces_enclose_what_the_pieces_do(places: list[tuple[int, int, int, int]]) -> None:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    for column, row, width, height in places:  # in a grid, so that pieces never touch
        pixels[8 * row : 8 * row + height, 8 * column : 8 * column + width] = 1
    pieces = rings(Mask(pixels, (0, 0)))
    joined = join(pieces)
    even_odd = np.array(
        [[cv2.pointPolygonTest(joined[:, None], (x, y), False) >= 0 for x in range(SIDE)] for y in range(SIDE)]
    )
    assert {tuple(point) for piece in pieces for point in piece.tolist()} == {tuple(point) for point in joined.tolist()}
    assert _area(joined) == pytest.approx(sum(_area(piece) for piece in pieces))
    assert not (pixels.astype(bool) & ~even_odd).any()


def _area(ring: Ring) -> float:
    """Return the signed area by the shoelace formula: bridges there and back add nothing."""
    x, y = ring[:, 0].astype(float), ring[:, 1].astype(float)
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def test_rings_of_many_points_are_joined_where_they_are_nearest() -> None:
    angles = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    one = np.stack([1000 + 900 * np.cos(angles), 1000 + 900 * np.sin(angles)], 1).round().astype(np.int32)
    other = one + np.array([2000, 0], np.int32)
    joined = join([one, other])
    assert len(joined) == len(one) + len(other) + 3
    lengths = np.abs(np.diff(joined, axis=0)).max(axis=1)
    assert sorted(lengths)[-2:] == [200, 200]  # the bridge, there and back
    assert sorted(lengths)[-3] <= 2
