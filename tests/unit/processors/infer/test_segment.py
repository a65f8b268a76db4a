import numpy as np
import pytest

from processors.infer.interface import Floats, Prepared
from processors.infer.segment import SegmentHead
from schemas.errors import Code, InputError
from schemas.modelcard import Task, Thresholds
from tests.unit.processors.infer.cards import ASKED, anchors, card, prepared

HEAD = SegmentHead(card(Task.SEGMENT))


def _prototypes() -> Floats:
    """Make two: the left half of the input, and two squares apart."""
    prototypes = np.full((1, 2, 16, 16), -1, np.float32)
    prototypes[0, 0, :, :8] = 1
    prototypes[0, 1, 2:5, 2:5] = 1
    prototypes[0, 1, 10:14, 9:13] = 1
    return prototypes


def test_an_outline_comes_back_in_pixels_of_the_original() -> None:
    outputs = [anchors([32, 32, 32, 32, 0.9, 0, 1, 0]), _prototypes()]
    (answer,) = HEAD.read(outputs, [prepared((128, 128), 0.5)], [ASKED])
    (found,) = answer.detections or ()
    assert found.bbox == [32, 32, 96, 96]
    assert sorted(found.polygon or []) == [[32, 32], [32, 94], [62, 32], [62, 94]]
    assert found.parts is None


def test_a_mask_in_pieces_has_parts_and_one_ring() -> None:
    outputs = [anchors([32, 32, 64, 64, 0.9, 0, 0, 1]), _prototypes()]
    (answer,) = HEAD.read(outputs, [prepared()], [ASKED])
    (found,) = answer.detections or ()
    assert found.polygon is not None
    assert found.parts is not None
    assert len(found.parts) == 2
    points = {tuple(point) for part in found.parts for point in part}
    assert {tuple(point) for point in found.polygon} == points


def test_outlines_are_clipped_to_the_picture() -> None:
    outputs = [anchors([32, 32, 64, 64, 0.9, 0, 1, 0]), _prototypes()]
    (answer,) = HEAD.read(outputs, [prepared((64, 32), 1.0, (0, 16))], [ASKED])
    (found,) = answer.detections or ()
    assert max(point[1] for point in found.polygon or []) == 32
    assert min(point[1] for point in found.polygon or []) == 0


def test_a_detection_with_an_empty_mask_is_dropped() -> None:
    outputs = [anchors([32, 32, 20, 20, 0.9, 0, 1, 0], [56, 32, 10, 20, 0.8, 0, 1, 0]), _prototypes()]
    (answer,) = HEAD.read(outputs, [prepared()], [ASKED])
    assert [one.confidence for one in answer.detections or ()] == [0.9]


def test_final_rows_carry_their_coefficients() -> None:
    head = SegmentHead(card(Task.SEGMENT, end_to_end=True))
    rows = np.array([[[16, 16, 48, 48, 0.9, 1, 1, 0], [0, 0, 1, 1, 0.1, 0, 1, 0]]], np.float32)
    (answer,) = head.read([rows, _prototypes()], [prepared()], [ASKED])
    (found,) = answer.detections or ()
    assert found.class_name == "dog"
    assert sorted(found.polygon or []) == [[16, 16], [16, 47], [31, 16], [31, 47]]


def test_the_order_of_the_outputs_does_not_matter() -> None:
    outputs = [anchors([32, 32, 32, 32, 0.9, 0, 1, 0]), _prototypes()]
    assert HEAD.read(outputs, [prepared()], [ASKED]) == HEAD.read(outputs[::-1], [prepared()], [ASKED])


def test_each_picture_has_its_own_prototypes() -> None:
    rows = anchors([32, 32, 64, 64, 0.9, 0, 1, 0]).repeat(2, axis=0)
    prototypes = np.concatenate([_prototypes(), -_prototypes()])
    one, other = HEAD.read([rows, prototypes], [prepared()] * 2, [ASKED] * 2)
    assert max(point[0] for point in (one.detections or ())[0].polygon or []) < 32
    assert min(point[0] for point in (other.detections or ())[0].polygon or []) >= 31


def test_prototypes_that_are_not_finite_are_refused() -> None:
    prototypes = _prototypes()
    prototypes[0, 0, 3, 3] = np.nan
    with pytest.raises(InputError) as caught:
        HEAD.read([anchors([32, 32, 32, 32, 0.9, 0, 1, 0]), prototypes], [prepared()], [ASKED])
    assert caught.value.code is Code.INFERENCE_INVALID


def test_masks_of_noise_are_refused_before_they_fill_memory_and_message() -> None:
    head = SegmentHead(card(Task.SEGMENT, input_wh=(640, 640)))
    noise = np.random.default_rng(0).normal(size=(1, 2, 160, 160)).astype(np.float32)
    picture = Prepared(np.zeros((640, 640, 3), np.uint8), (640, 640))
    # Two classes keep their boxes apart for suppression; each mask has some 25,000 points.
    rows = [[320, 320, 640 - 70 * n, 640, 0.9, 0, 1, n / 10] for n in range(9)]
    (few,) = head.read([anchors(rows[0]), noise], [picture], [ASKED])
    assert len(few.detections or ()) == 1
    with pytest.raises(InputError) as caught:
        head.read([anchors(*rows), noise], [picture], [Thresholds(confidence=0.25, iou=1.0)])
    assert caught.value.code is Code.INFERENCE_INVALID
