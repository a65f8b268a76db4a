import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.infer.letterbox import Placement, place

SIDES = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("picture_wh", "placement"),
    [
        ((640, 640), Placement((640, 640), (0, 0), (640, 640))),
        ((1280, 720), Placement((640, 360), (0, 140), (640, 640))),
        ((333, 500), Placement((426, 640), (107, 0), (640, 640))),
        ((320, 321), Placement((638, 640), (1, 0), (640, 640))),  # small pictures grow
        ((641, 640), Placement((640, 639), (0, 0), (640, 640))),  # the odd pixel of border is below
        ((2000, 1), Placement((640, 1), (0, 319), (640, 640))),
        ((1, 2000), Placement((1, 640), (319, 0), (640, 640))),
    ],
)
def test_the_whole_picture_lies_centred_in_the_input(picture_wh: tuple[int, int], placement: Placement) -> None:
    assert place(picture_wh, (640, 640)) == placement


@pytest.mark.parametrize(
    ("picture_wh", "frame_wh"),
    [((1280, 720), (640, 384)), ((640, 640), (640, 640)), ((500, 333), (640, 448)), ((2000, 1), (640, 32))],
)
def test_rect_cuts_the_border_to_a_multiple_of_the_stride(
    picture_wh: tuple[int, int], frame_wh: tuple[int, int]
) -> None:
    assert place(picture_wh, (640, 640), 32).frame_wh == frame_wh


@given(SIDES, SIDES, st.sampled_from([None, 32]))
def test_the_picture_never_leaves_its_frame(width: int, height: int, multiple: int | None) -> None:
    placement = place((width, height), (416, 320), multiple)
    for axis in (0, 1):
        assert placement.resized_wh[axis] >= 1
        after = placement.frame_wh[axis] - placement.offset[axis] - placement.resized_wh[axis]
        assert 0 <= after - placement.offset[axis] <= 1
        assert placement.frame_wh[axis] <= (416, 320)[axis]
        assert multiple is None or placement.frame_wh[axis] % multiple == 0
