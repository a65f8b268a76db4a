import pytest

from processors.infer.boxes import iou, match_boxes

A = (0.0, 0.0, 10.0, 10.0)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (A, 1.0),
        ((5.0, 0.0, 15.0, 10.0), 50 / 150),
        ((0.0, 0.0, 10.0, 5.0), 0.5),
        ((2.0, 2.0, 4.0, 4.0), 0.04),
        ((10.0, 0.0, 20.0, 10.0), 0.0),
        ((20.0, 20.0, 30.0, 30.0), 0.0),
        ((3.0, 3.0, 3.0, 9.0), 0.0),
    ],
)
def test_iou_is_the_shared_area_over_the_joint_one(other: tuple[float, ...], expected: float) -> None:
    assert iou(A, other) == pytest.approx(expected)
    assert iou(other, A) == pytest.approx(expected)


def test_two_empty_boxes_share_nothing() -> None:
    assert iou((1, 1, 1, 1), (1, 1, 1, 1)) == 0


def test_no_boxes_match_nothing() -> None:
    assert match_boxes([], [("a", A)], 0.5) == []
    assert match_boxes([("a", A)], [], 0.5) == []


def test_the_best_overlap_is_paired_first() -> None:
    before = [("a", (0.0, 0.0, 10.0, 10.0)), ("a", (2.0, 0.0, 12.0, 10.0))]
    after = [("a", (2.0, 0.0, 12.0, 10.0)), ("a", (0.0, 0.0, 9.0, 10.0))]
    assert match_boxes(before, after, 0.5) == [(1, 0, 1.0), (0, 1, pytest.approx(0.9))]


def test_a_box_has_one_partner_at_most() -> None:
    assert match_boxes([("a", A), ("a", A)], [("a", A)], 0.5) == [(0, 0, 1.0)]


def test_other_classes_and_small_overlaps_are_no_pairs() -> None:
    assert match_boxes([("a", A)], [("b", A)], 0.5) == []
    assert match_boxes([("a", A)], [("a", (0.0, 0.0, 10.0, 4.99))], 0.5) == []
    assert match_boxes([("a", A)], [("a", (0.0, 0.0, 10.0, 5.0))], 0.5) == [(0, 0, 0.5)]
