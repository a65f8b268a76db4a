import numpy as np
import pytest

from processors.infer.detect import DetectHead
from schemas.errors import Code, InputError, Stage
from schemas.modelcard import Task, Thresholds
from tests.unit.processors.infer.cards import ASKED, anchors, card, prepared

HEAD = DetectHead(card(Task.DETECT, class_map={"dog": "animal"}))


def test_boxes_come_back_in_pixels_of_the_original() -> None:
    outputs = [anchors([32, 20, 16, 8, 0.1, 0.81234], [10, 10, 4, 4, 0.6, 0.2])]
    (answer,) = HEAD.read(outputs, [prepared((160, 90), 0.4, (0, 14))], [ASKED])
    assert answer.classification is None
    assert [one.model_dump(exclude_none=True, by_alias=True) for one in answer.detections or ()] == [
        {"class": "animal", "class_id": 1, "confidence": 0.8123, "bbox": [60.0, 5.0, 100.0, 25.0]},
        {"class": "cat", "class_id": 0, "confidence": 0.6, "bbox": [20.0, 0.0, 30.0, 0.0]},
    ]


def test_boxes_are_clipped_to_the_picture() -> None:
    (answer,) = HEAD.read([anchors([32, 32, 100, 90, 0.9, 0])], [prepared((50, 60))], [ASKED])
    assert answer.detections is not None
    assert answer.detections[0].bbox == [0, 0, 50, 60]


def test_a_score_at_the_threshold_is_no_detection() -> None:
    outputs = [anchors([10, 10, 4, 4, 0.5, 0], [40, 40, 4, 4, np.nextafter(np.float32(0.5), np.float32(1)), 0])]
    (answer,) = HEAD.read(outputs, [prepared()], [Thresholds(confidence=0.5)])
    assert len(answer.detections or ()) == 1


def test_no_objects_is_an_empty_answer_not_none() -> None:
    (answer,) = HEAD.read([anchors([10, 10, 4, 4, 0.1, 0.2])], [prepared()], [ASKED])
    assert answer.detections == ()


def test_each_picture_goes_by_its_own_thresholds_and_place() -> None:
    output = anchors([32, 32, 10, 10, 0.4, 0], [34, 32, 10, 10, 0.3, 0]).repeat(3, axis=0)
    asked = [Thresholds(confidence=0.35), Thresholds(confidence=0.1, iou=0.9), Thresholds(confidence=0.1, iou=0.5)]
    answers = HEAD.read([output], [prepared(), prepared(scale=0.5, original_wh=(128, 128)), prepared()], asked)
    assert [len(answer.detections or ()) for answer in answers] == [1, 2, 1]
    assert (answers[1].detections or ())[0].bbox == [54, 54, 74, 74]


def test_at_most_so_many_by_falling_score() -> None:
    rows = [[8 * index, 10, 4, 4, 0.3 + index / 20, 0] for index in range(8)]
    (answer,) = HEAD.read([anchors(*rows)], [prepared()], [Thresholds(max_detections=3)])
    assert [one.confidence for one in answer.detections or ()] == [0.65, 0.6, 0.55]


def test_half_precision_outputs_are_read() -> None:
    outputs = [anchors([32, 32, 10, 10, 0.4, 0]).astype(np.float16)]
    (answer,) = HEAD.read(outputs, [prepared()], [ASKED])
    assert (answer.detections or ())[0].confidence == pytest.approx(0.4, abs=1e-3)


def test_final_rows_are_filtered_and_nothing_is_suppressed() -> None:
    head = DetectHead(card(Task.DETECT, end_to_end=True))
    rows = [[1, 2, 11, 12, 0.9, 1], [1, 2, 11, 12, 0.8, 1], [5, 5, 9, 9, 0.25, 0]]
    (answer,) = head.read([np.array([rows], np.float32)], [prepared()], [ASKED])
    assert [(one.class_name, one.bbox) for one in answer.detections or ()] == [("dog", [1, 2, 11, 12])] * 2


def test_scores_are_activated_where_the_card_says_so() -> None:
    head = DetectHead(card(Task.DETECT, activation="sigmoid"))
    (answer,) = head.read([anchors([32, 32, 10, 10, 2, -100])], [prepared()], [ASKED])
    assert (answer.detections or ())[0].confidence == pytest.approx(0.8808)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 4])
def test_numbers_that_are_not_finite_are_refused(number: float, place: int) -> None:
    outputs = anchors([32, 32, 10, 10, 0.1, 0.0], [10, 10, 4, 4, 0.9, 0.0])
    outputs[0, place, 0] = number
    _refused(HEAD, outputs)


@pytest.mark.parametrize("score", [1.5, -0.5, 80.0])
def test_scores_that_are_no_probabilities_are_refused(score: float) -> None:
    _refused(HEAD, anchors([32, 32, 10, 10, score, 0]))


@pytest.mark.parametrize("index", [-1, 2, 1e9])
def test_a_class_that_the_card_lacks_is_refused(index: float) -> None:
    _refused(DetectHead(card(Task.DETECT, end_to_end=True)), np.array([[[1, 2, 3, 4, 0.9, index]]], np.float32))


def test_rounding_past_one_is_no_reason_to_refuse() -> None:
    (answer,) = HEAD.read([anchors([32, 32, 10, 10, 1.0004, 0])], [prepared()], [ASKED])
    assert (answer.detections or ())[0].confidence == 1.0


def _refused(head: DetectHead, output: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        head.read([output], [prepared()], [ASKED])
    assert (caught.value.code, caught.value.stage) == (Code.INFERENCE_INVALID, Stage.INFER)
