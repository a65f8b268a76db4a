from time import process_time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.pipelines import geometry
from processors.pipelines.geometry import area_of, crosses_itself, reaches_edge, rings_of
from tests.unit.processors.pipelines.materials import Ring, detection, rectangle

BOW_TIE = [[0.0, 0.0], [10.0, 10.0], [10.0, 0.0], [0.0, 10.0]]
# Two triangles of one line that passes through its own middle point.
BOW_TIE_WITH_MIDDLE = [[0.0, 0.0], [5.0, 5.0], [10.0, 10.0], [10.0, 0.0], [5.0, 5.0], [0.0, 10.0]]
# The same point is met twice, and the line turns back both times.
PINCHED = [[0.0, 0.0], [5.0, 5.0], [0.0, 10.0], [10.0, 10.0], [5.0, 5.0], [10.0, 0.0]]
# One edge runs through a corner of the line.
THROUGH_A_CORNER = [[0.0, 0.0], [10.0, 0.0], [10.0, 5.0], [5.0, 10.0], [5.0, 0.0], [5.0, -5.0]]
# A line that goes out from a square and back along itself.
SPUR = [[0.0, 0.0], [10.0, 0.0], [10.0, 5.0], [20.0, 5.0], [10.0, 5.0], [10.0, 10.0], [0.0, 10.0]]


def test_parts_come_before_the_polygon() -> None:
    square, other = rectangle(0, 0, 1, 1), rectangle(5, 5, 6, 6)
    assert rings_of(detection(polygon=square, parts=[other, square])) == [other, square]
    assert rings_of(detection(polygon=square)) == [square]
    assert rings_of(detection()) == rings_of(detection(parts=[])) == []


@pytest.mark.parametrize(
    ("rings", "area"),
    [
        ([rectangle(10, 20, 40, 60)], 1200),
        ([rectangle(10, 20, 40, 60)[::-1]], 1200),
        ([rectangle(0, 0, 2, 2), rectangle(10, 10, 13, 13)], 13),
        ([[[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]], 6),
        ([[[0.0, 0.0], [4.0, 0.0]]], 0),
        ([[[1.0, 1.0]]], 0),
        ([[]], 0),
        ([], 0),
    ],
)
def test_area(rings: list[Ring], area: float) -> None:
    assert area_of(rings) == pytest.approx(area)


@pytest.mark.parametrize(
    ("ring", "crosses"),
    [
        (rectangle(0, 0, 10, 10), False),
        (BOW_TIE, True),
        (BOW_TIE_WITH_MIDDLE, True),
        (PINCHED, False),
        (THROUGH_A_CORNER, True),
        (SPUR, False),
        ([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], False),
        ([[0.0, 0.0], [10.0, 0.0]], False),
        ([[3.0, 3.0]] * 7, False),
        ([], False),
    ],
)
def test_crossings(ring: Ring, *, crosses: bool) -> None:
    for turned in (ring, ring[::-1], [*ring[2:], *ring[:2]], [[-y, x] for x, y in ring]):
        assert crosses_itself(turned) == crosses


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_the_contour_of_a_mask_never_crosses_itself(seed: int) -> None:
    random = np.random.default_rng(seed)
    coarse = random.random((int(random.integers(3, 14)), int(random.integers(3, 14)))).astype(np.float32)
    mask = (cv2.resize(coarse, (40, 30), interpolation=cv2.INTER_LINEAR) > random.uniform(0.3, 0.8)).astype(np.uint8)
    mask |= (random.random(mask.shape) < 0.04).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        assert not crosses_itself((contour[:, 0] * 3.37).round(2).tolist())


@given(st.integers(0, 10_000), st.integers(3, 60))
@settings(max_examples=50, deadline=None)
def test_a_star_shaped_ring_never_crosses_itself(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    assert not crosses_itself(around(random.uniform(20, 100, count)))


@given(st.integers(4, 60), st.data())
@settings(max_examples=50, deadline=None)
def test_a_round_ring_crosses_itself_once_two_points_are_swapped(count: int, data: st.DataObject) -> None:
    ring = around(np.full(count, 100.0))
    first = data.draw(st.integers(0, count - 1))
    second = (first + data.draw(st.integers(1, count - 1))) % count
    if count == 4 and (first - second) % 2 == 0:
        return  # swapping opposite corners of a square turns it round
    ring[first], ring[second] = ring[second], ring[first]
    assert crosses_itself(ring)


def around(radii: NDArray[np.float64]) -> list[list[float]]:
    """Return points round a centre, at equal angles."""
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    ring: list[list[float]] = (
        np.stack([300 + radii * np.cos(angles), 200 + radii * np.sin(angles)], 1).round(2).tolist()
    )
    return ring


def test_a_long_ring_is_checked_in_steps() -> None:
    angles = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    ring = np.stack([500 + 400 * np.cos(angles), 500 + 400 * np.sin(angles)], 1).round(2).tolist()
    assert not crosses_itself(ring)
    ring[10], ring[2500] = ring[2500], ring[10]
    assert crosses_itself(ring)


@pytest.mark.parametrize(
    ("ring", "reaches"),
    [
        (rectangle(1, 1, 638, 478), False),
        (rectangle(0.5, 10, 20, 20), True),
        (rectangle(10, 10, 638.5, 20), True),
        (rectangle(10, 0, 20, 20), True),
        (rectangle(10, 10, 20, 479), True),
        (rectangle(-5, 10, 20, 20), True),
        (rectangle(10, 10, 20, 900), True),
        ([], False),
    ],
)
def test_the_edge_of_the_picture(ring: Ring, *, reaches: bool) -> None:
    assert reaches_edge([ring], (640, 480), 1.0) == reaches


@given(st.integers(0, 10_000), st.integers(4, 40))
@settings(max_examples=50, deadline=None)
def test_the_sweep_finds_every_pair_of_edges_whose_boxes_meet(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).integers(0, 60, (count, 2))
    low, high = np.minimum(points, np.roll(points, -1, axis=0)), np.maximum(points, np.roll(points, -1, axis=0))
    wanted = {
        (one, two)
        for one in range(count)
        for two in range(one + 2, count)
        if two - one < count - 1 and (low[one] <= high[two]).all() and (low[two] <= high[one]).all()
    }
    for pairs in (7, geometry._PAIRS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(geometry, "_PAIRS", pairs)
            found = list(geometry._near_pairs(points))
        assert len(found) == len(set(found))
        assert set(found) == wanted


def test_the_outline_of_noise_takes_no_minutes() -> None:
    noise = cv2.resize(np.random.default_rng(0).normal(size=(160, 160)), (640, 640)) > 0
    contours, _ = cv2.findContours(noise.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    longest = max(contours, key=len)[:, 0]
    began = process_time()
    assert not crosses_itself(longest.astype(float).tolist())
    assert len(longest) > 5000
    assert process_time() - began < 3
