import io
import threading
import tracemalloc
from collections.abc import Sequence
from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from processors.draw import draw_on, draw_overlay
from processors.draw.colours import BLACK, WHITE, colour_of, ink_on, luminance
from processors.draw.labels import Label, draw_labels, place_for
from processors.draw.shapes import draw_outline, fill_rings, line_width
from processors.draw.text import SMALLEST, Writer
from schemas.result import Detection
from tests.unit.processors import samples

Pixels = NDArray[np.uint8]
Ring = Sequence[Sequence[float]]
GREY = 77


def plain(width: int, height: int, level: int = GREY) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def detection(
    box: Sequence[float], name: str = "thing", class_id: int = 0, confidence: float = 0.5, **more: object
) -> Detection:
    facts = {"class": name, "class_id": class_id, "confidence": confidence, "bbox": list(box)}
    return Detection.model_validate(facts | more)


def star(centre: tuple[float, float], radii: Sequence[float]) -> list[list[float]]:
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    x, y = centre[0] + np.array(radii) * np.cos(angles), centre[1] + np.array(radii) * np.sin(angles)
    ring: list[list[float]] = np.stack([x, y], 1).round(2).tolist()
    return ring


def distance_to(ring: Sequence[Sequence[float]], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each point's distance from the closed line along a ring, by plain geometry."""
    best = np.full(len(points), np.inf)
    for start, end in zip(np.array(ring), np.roll(np.array(ring), -1, axis=0), strict=True):
        along = end - start
        share = np.clip((points - start) @ along / max(float(along @ along), 1e-9), 0, 1)
        best = np.minimum(best, np.hypot(*(points - start - share[:, None] * along).T))
    return best


def changed(bgr: Pixels, level: int = GREY) -> NDArray[np.float64]:
    """Return [x, y] of the pixels that are not plain any more."""
    rows, columns = np.nonzero((bgr != level).any(axis=2))
    return np.stack([columns, rows], 1).astype(np.float64)


@given(st.lists(st.floats(8, 110), min_size=3, max_size=24), st.floats(60, 260), st.floats(60, 180))
@settings(max_examples=50, deadline=None)
def test_an_outline_lies_on_its_polygon_within_a_pixel_and_covers_it(radii: list[float], x: float, y: float) -> None:
    ring = star((x, y), radii)
    bgr = plain(320, 240)
    draw_outline(bgr, ring, (1, 2, 3))
    inside = [[min(max(px, 0), 319), min(max(py, 0), 239)] for px, py in ring]
    drawn = changed(bgr)
    assert distance_to(inside, drawn).max() <= 1
    corners = np.array(inside)
    along = np.concatenate([np.linspace(a, b, 50) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)])
    far = np.hypot(*(along[:, None] - drawn[None]).transpose(2, 0, 1)).min(axis=1)
    assert far.max() <= 1


@pytest.mark.parametrize("size", [(320, 240), (1920, 1080), (3000, 2000)])
def test_the_middle_of_an_outline_lies_on_its_polygon_at_any_size(size: tuple[int, int]) -> None:
    width, height = size
    bgr = plain(width, height)
    ring = [[width * 0.25, height * 0.25], [width * 0.75, height * 0.25], [width * 0.75, height * 0.75]]
    draw_outline(bgr, ring, (1, 2, 3))
    column = np.flatnonzero((bgr[:, width // 2 + 3] != GREY).any(axis=1))
    upper = column[column < height * 0.4]
    assert abs(upper.mean() - height * 0.25) <= 1
    assert line_width(bgr) <= len(upper) <= line_width(bgr) + 1


def test_a_fill_tints_what_lies_within_all_parts_and_nothing_else() -> None:
    bgr = plain(200, 100)
    first: Ring = [[10, 10], [50, 10], [50, 60], [10, 60]]
    second: Ring = [[40, 40], [90, 40], [90, 90], [40, 90]]
    fill_rings(bgr, [first, second], (255, 0, 0))
    blue = bgr[:, :, 0] > GREY
    wanted = np.zeros_like(blue)
    wanted[10:61, 10:51] = wanted[40:91, 40:91] = True  # where two parts overlap too
    assert (blue == wanted).all()
    assert bgr[20, 20].tolist() == [139, 50, 50]  # 77 * 0.65 + 255 * 0.35


@given(st.lists(st.floats(5, 90), min_size=3, max_size=12), st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_a_fill_in_bands_is_the_same_as_a_fill_at_once(radii: list[float], rows: int) -> None:
    ring = star((100, 80), radii)
    whole, banded = plain(200, 160), plain(200, 160)
    fill_rings(whole, [ring], (9, 200, 30))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processors.draw.shapes._BAND_PIXELS", rows * 100)
        fill_rings(banded, [ring], (9, 200, 30))
    assert (whole == banded).all()


TEXTS = st.one_of(
    st.sampled_from(
        ["polyp 0.89", "Полип", "多边形", "عربي", "Ünreif", "line\nbreak\ttab\0", "🍌", "x" * 500, "\ud800"]
    ),
    st.text(max_size=30),
)
BOXES = st.tuples(*(st.floats(-50, 700),) * 4).map(
    lambda box: [min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])]
)
SIZES = st.tuples(st.integers(1, 600), st.integers(1, 400))


@given(TEXTS, BOXES, SIZES, st.integers(8, 60))
@settings(max_examples=50, deadline=None)
def test_no_plate_leaves_the_picture(text: str, box: list[float], size_wh: tuple[int, int], size: int) -> None:
    fitted = Writer().fit(text, size, size_wh)
    if fitted is None:
        return
    (x, y), (width, height) = place_for(fitted, box, size_wh, []), fitted.plate_wh
    assert 0 <= x <= x + width <= size_wh[0]
    assert 0 <= y <= y + height <= size_wh[1]


@given(TEXTS, st.integers(8, 60))
@settings(max_examples=50, deadline=None)
def test_the_text_stays_on_its_plate_with_a_margin(text: str, size: int) -> None:
    writer = Writer()
    fitted = writer.fit(text, size, (400, 100))
    if fitted is None:
        return
    width, height = fitted.plate_wh
    bgr = plain(width + 40, height + 40)
    writer.write(bgr, fitted, (20, 20), (255, 255, 255))
    outside = bgr.copy()
    outside[20 : 20 + height, 20 : 20 + width] = GREY
    assert (outside == GREY).all()
    plate = bgr[20 : 20 + height, 20 : 20 + width]
    border = np.concatenate([plate[0], plate[-1], plate[:, 0], plate[:, -1]])
    assert (border > 127).all()  # no letter is cut off


def test_every_kind_of_letter_leaves_ink() -> None:
    for text in ("polyp", "Полип", "多边形", "عربي", "ελ", "バナナ", "바나나"):
        bgr = plain(300, 60, 0)
        draw_labels(bgr, [Label(text, [10, 40, 200, 59], WHITE)])
        assert ((bgr > 0) & (bgr < 255)).any()
        marks, unknown = plain(300, 60, 0), "?" * len(text)
        draw_labels(marks, [Label(unknown, [10, 40, 200, 59], WHITE)])
        assert (bgr != marks).any()


def test_a_text_without_room_is_made_smaller_then_cut_then_left_out() -> None:
    writer = Writer()
    wide = writer.fit("Over Ripe 0.89", 20, (400, 100))
    narrow = writer.fit("Over Ripe 0.89", 20, (70, 100))
    cut = writer.fit("Over Ripe 0.89", 20, (40, 100))
    assert wide is not None
    assert narrow is not None
    assert cut is not None
    assert (wide.size, wide.content) == (20, "Over Ripe 0.89")
    assert SMALLEST <= narrow.size < 20
    assert cut.content.startswith("Ov")
    assert cut.content.endswith("…")
    assert writer.fit("Over Ripe 0.89", 20, (400, 5)) is None
    assert writer.fit("Over Ripe 0.89", 20, (3, 100)) is None
    assert writer.fit(" \n\t", 20, (400, 100)) is None


def test_labels_keep_apart_while_there_is_room() -> None:
    size_wh = (640, 480)
    taken: list[tuple[int, int, int, int]] = []
    for _ in range(6):
        text = Writer().fit("polyp 0.89", 14, size_wh)
        assert text is not None
        place = place_for(text, [100, 100, 300, 300], size_wh, taken)
        taken.append((*place, *text.plate_wh))
    for (x, y, width, height), (left, top, across, down) in combinations(taken, 2):
        assert x + width <= left or left + across <= x or y + height <= top or top + down <= y


@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_labels_can_be_read_on_any_background(level: int) -> None:
    for class_id in range(12):
        bgr = plain(300, 100, level)
        draw_labels(bgr, [Label("polyp 0.89", [20, 40, 200, 90], colour_of(class_id))])
        plate, ink = colour_of(class_id), ink_on(colour_of(class_id))
        assert (bgr == plate).all(axis=2).any()
        near = np.abs(bgr.astype(int) - np.array(ink)).max(axis=2) < 40
        assert near.sum() > 20


@given(st.tuples(*(st.integers(0, 255),) * 3))
@settings(max_examples=50, deadline=None)
def test_ink_contrasts_with_every_plate(plate: tuple[int, int, int]) -> None:
    first, second = sorted((luminance(plate), luminance(ink_on(plate))))
    assert (second + 0.05) / (first + 0.05) >= 4.5


def test_luminance_of_known_colours() -> None:
    assert luminance(BLACK) == 0
    assert luminance(WHITE) == pytest.approx(1)
    assert luminance((0, 0, 255)) == pytest.approx(0.2126)


def test_colours_are_stable_and_far_apart() -> None:
    colours = [np.array(colour_of(class_id), float) for class_id in range(12)]
    assert min(float(np.abs(a - b).sum()) for a, b in combinations(colours, 2)) > 60
    assert len({colour_of(class_id) for class_id in range(80)}) == 80
    assert colour_of(3) == colour_of(3)


def test_a_skeleton_joins_the_keypoints_that_can_be_seen() -> None:
    bgr = plain(200, 200)
    keypoints = [[20.0, 100.0, 0.9], [100.0, 100.0, 0.9], [180.0, 100.0, 0.1], [100.0, 20.0, None]]
    draw_on(
        bgr, [detection([5, 5, 195, 195], keypoints=keypoints)], skeleton=[(0, 1), (1, 2), (1, 3), (1, 9)], labels=[""]
    )
    colour = list(colour_of(0))
    assert bgr[100, 60].tolist() == colour
    assert bgr[60, 100].tolist() == colour
    assert bgr[100, 140].tolist() == [GREY] * 3


def test_boxes_are_drawn_where_they_are() -> None:
    bgr = plain(320, 240)
    draw_on(bgr, [detection([50, 60, 150, 160])], labels=[""])
    points = changed(bgr)
    assert points.min(axis=0).tolist() == pytest.approx([50, 60], abs=1.5)
    assert points.max(axis=0).tolist() == pytest.approx([150, 160], abs=1.5)
    assert bgr[110, 100].tolist() == [GREY] * 3


def test_the_surer_detection_covers_the_other() -> None:
    for confidences in ((0.9, 0.5), (0.5, 0.9)):
        bgr = plain(320, 240)
        pair = [
            detection([50, 60, 150, 160], class_id=place, confidence=sure) for place, sure in enumerate(confidences)
        ]
        draw_on(bgr, pair, labels=["", ""])
        assert bgr[100, 50].tolist() == list(colour_of(confidences.index(0.9)))


def test_an_overlay_is_a_jpeg_of_the_same_size() -> None:
    bgr = samples.photo(160, 120)
    data = draw_overlay(bgr.copy(), [detection([10, 10, 90, 90], polygon=star((50, 50), [30] * 8))], headline="none")
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("JPEG", (160, 120))
    assert not image.getexif()
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.abs(decoded[100:, 100:].astype(int) - bgr[100:, 100:]).mean() < 6
    assert np.abs(decoded[40:60, 40:60].astype(int) - bgr[40:60, 40:60]).mean() > 20


def test_labels_given_and_a_headline_are_written() -> None:
    bare, labelled, headed = plain(320, 240), plain(320, 240), plain(320, 240)
    one = [detection([50, 100, 150, 200])]
    draw_on(bare, one, labels=[""])
    draw_on(labelled, one, labels=["Two 0.99, 2 fingers"])
    draw_on(headed, one, labels=[""], headline="fake")
    assert (labelled[:100] != bare[:100]).any()
    assert (headed[:30, :60] != GREY).any()
    assert (bare[:30, :60] == GREY).all()


@pytest.mark.parametrize("size", [(1, 1), (640, 1), (1, 480), (2, 2), (9, 9)])
def test_tiny_pictures_can_be_drawn_on(size: tuple[int, int]) -> None:
    width, height = size
    box = [0.0, 0.0, float(width), float(height)]
    whole = detection(
        box, polygon=star((width / 2, height / 2), [5.0] * 5), keypoints=[[0.0, 0.0, 1.0], [0.5, 0.5, 1.0]]
    )
    data = draw_overlay(plain(width, height), [whole] * 3, skeleton=[(0, 1)], headline="none")
    assert Image.open(io.BytesIO(data)).size == (width, height)


def test_coordinates_outside_the_picture_are_drawn_at_its_edge() -> None:
    wild = detection([-1e7, -5, 1e7, 1e9], polygon=[[-1e7, -1e7], [1e7, -50], [50, 1e7]], keypoints=[[-1e9, 1e9, 1.0]])
    assert draw_overlay(plain(64, 48), [wild])
    assert draw_overlay(plain(64, 48), [detection([10, 10, 5, 5], polygon=[], parts=[[], [[1.0, 1.0]]])])


def test_a_picture_of_24_megapixels_is_not_copied() -> None:
    bgr = plain(6000, 4000)
    found = [detection([0, 0, 6000, 4000], polygon=[[0, 0], [5999, 0], [5999, 3999], [0, 3999]])]
    tracemalloc.start()  # numpy reports its own memory here, and OpenCV allocates through numpy
    draw_on(bgr, found * 3, headline="large")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < bgr.nbytes / 2


def test_threads_draw_the_same() -> None:
    def draw(place: int) -> None:
        for _ in range(10):
            bgr = plain(320, 240)
            draw_on(bgr, [detection([20 * k, 30 * k, 20 * k + 80, 30 * k + 60], f"класс {k}", k) for k in range(5)])
            drawn[place].append(bgr.tobytes())

    drawn: list[list[bytes]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=draw, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for each in drawn for one in each}) == 1
    assert all(len(each) == 10 for each in drawn)
