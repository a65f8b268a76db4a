"""Evaluation from end to end, with models whose answers are known."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from processors.infer.engine import EngineOptions
from processors.infer.interface import Answer
from processors.infer.loading import load_model
from processors.infer.model import LoadedModel
from schemas.errors import ConfigurationError
from schemas.modelcard import Task, Thresholds
from schemas.result import Detection
from sightline.models.dataset import load_dataset
from sightline.models.evaluate import evaluate, match_classes
from sightline.models.evaluation_report import FACTS_FILE, write_evaluation
from sightline.models.labels import Truth
from sightline.models.predict import PictureFailedError
from sightline.models.tally import DetectionTally
from tests.models import BOXES, classifier, detector, nan_where_dark, save_model
from tests.unit.models.labelled import LEVELS, label_lines, write_classes, write_detections


@pytest.fixture
def found(tmp_path: Path) -> Iterator[LoadedModel]:
    model = load_model(save_model(tmp_path / "model", detector()), None, EngineOptions())
    yield model
    model.engine.close()


def test_a_model_that_is_right_scores_one(found: LoadedModel, tmp_path: Path) -> None:
    evaluation = evaluate(found, load_dataset(write_detections(tmp_path / "data"), Task.DETECT))
    assert evaluation.pictures == 3
    assert evaluation.objects == 6
    assert evaluation.metrics["mAP50"] == pytest.approx(1.0)
    assert evaluation.metrics["mAP50-95"] == pytest.approx(1.0)
    assert (evaluation.metrics["precision"], evaluation.metrics["recall"]) == (1.0, 1.0)
    assert evaluation.by_class["second"]["objects"] == 3
    assert evaluation.confusion.tolist() == [[3, 0, 0], [0, 3, 0], [0, 0, 0]]


def test_boxes_a_little_off_count_at_low_overlap_only(found: LoadedModel, tmp_path: Path) -> None:
    moved = label_lines([(x + 2, y, width, height) for x, y, width, height in BOXES])
    evaluation = evaluate(found, load_dataset(write_detections(tmp_path / "data", labels=moved), Task.DETECT))
    assert evaluation.metrics["mAP50"] == pytest.approx(1.0)
    # 18/22 and 22/26 of the areas: right up to 0.8, 0.8
    assert evaluation.metrics["mAP50-95"] == pytest.approx(0.7)


def test_mistakes_are_told_apart(found: LoadedModel, tmp_path: Path) -> None:
    # The first object is labelled as the other class, the second not at all, and one is there that is never found.
    labels = label_lines([BOXES[0], (8, 56, 6, 6)], classes=(1, 0))
    evaluation = evaluate(found, load_dataset(write_detections(tmp_path / "data", labels=labels), Task.DETECT))
    assert evaluation.metrics["mAP50"] == 0.0
    assert evaluation.confusion.tolist() == [[0, 0, 3], [3, 0, 0], [0, 3, 0]]


def test_what_is_less_sure_than_the_card_wants_is_not_in_the_confusion(found: LoadedModel, tmp_path: Path) -> None:
    levels = (230, 20)  # the second picture's detections have a confidence of 0.08
    evaluation = evaluate(found, load_dataset(write_detections(tmp_path / "data", levels=levels), Task.DETECT))
    assert evaluation.metrics["mAP50"] == pytest.approx(1.0)
    assert evaluation.confusion.tolist() == [[1, 0, 1], [0, 1, 1], [0, 0, 0]]


def test_thresholds_leave_detections_out(found: LoadedModel, tmp_path: Path) -> None:
    data = load_dataset(write_detections(tmp_path / "data"), Task.DETECT)
    evaluation = evaluate(found, data, Thresholds(confidence=0.6))  # two of the three levels
    assert evaluation.metrics["mAP50"] == pytest.approx(2 / 3, abs=0.01)


def test_classes_are_found_by_name_in_any_order(found: LoadedModel, tmp_path: Path) -> None:
    file = write_detections(tmp_path / "data", labels=label_lines(classes=(1, 0)))
    file.write_text("val: images/val\nnames: [second, first]\n")
    assert evaluate(found, load_dataset(file, Task.DETECT)).metrics["mAP50"] == pytest.approx(1.0)


def test_names_that_the_card_maps_are_known(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", detector(), class_map={"first": "ripe"})
    file = write_detections(tmp_path / "data")
    file.write_text("val: images/val\nnames: [ripe, second]\n")
    model = load_model(folder, None, EngineOptions())
    assert match_classes(load_dataset(file, Task.DETECT), model.card).name(0) == "ripe"
    assert evaluate(model, load_dataset(file, Task.DETECT)).by_class.keys() == {"ripe", "second"}


def test_a_class_that_the_model_does_not_have(found: LoadedModel, tmp_path: Path) -> None:
    file = write_detections(tmp_path / "data")
    file.write_text("val: images/val\nnames: [first, third]\n")
    with pytest.raises(ConfigurationError, match="'third' is not one of the model's: first, second"):
        evaluate(found, load_dataset(file, Task.DETECT))


def test_a_wrong_label_is_found_before_the_model_runs(
    found: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_detections(tmp_path / "data")
    wrong = file.parent / "labels" / "val" / "0002.txt"
    wrong.write_text("7 0.5 0.5 0.5 0.5\n")
    monkeypatch.setattr("sightline.models.predict.infer", lambda *_: pytest.fail("the model ran"))
    with pytest.raises(ConfigurationError) as caught:
        evaluate(found, load_dataset(file, Task.DETECT))
    assert caught.value.where == f"{wrong}:1"


def test_a_file_that_is_no_picture_is_named(found: LoadedModel, tmp_path: Path) -> None:
    file = write_detections(tmp_path / "data")
    broken = file.parent / "images" / "val" / "0001.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(ConfigurationError, match="is no picture that can be used: picture_truncated") as caught:
        evaluate(found, load_dataset(file, Task.DETECT))
    assert caught.value.where == str(broken)


def test_a_picture_that_the_model_fails_on_is_named(tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path / "model", nan_where_dark(), task="classify"), None, EngineOptions())
    folder = write_classes(tmp_path / "data", (2, 2))
    dark = folder / "val" / "second" / "0001.png"
    cv2.imwrite(str(dark), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(PictureFailedError) as caught:
        evaluate(model, load_dataset(folder, Task.CLASSIFY))
    assert caught.value.picture == dark


def test_classification(tmp_path: Path) -> None:
    # The second class is the more probable for every picture.
    model = load_model(save_model(tmp_path / "model", classifier(), task="classify"), None, EngineOptions())
    evaluation = evaluate(model, load_dataset(write_classes(tmp_path / "data", (3, 5)), Task.CLASSIFY))
    assert evaluation.metrics["accuracy"] == pytest.approx(5 / 8)
    assert evaluation.metrics["top5"] == 1.0
    assert evaluation.confusion.tolist() == [[0, 3], [0, 5]]
    assert evaluation.by_class["second"]["precision"] == pytest.approx(5 / 8)
    assert evaluation.by_class["first"]["F1"] == 0.0
    files = write_evaluation(evaluation, {}, tmp_path / "report")
    assert sorted(path.name for path in files) == ["confusion.png", FACTS_FILE]


def _detection(**parts: object) -> Detection:
    fields = {"class": "first", "class_id": 0, "confidence": 0.9, "bbox": [0.0, 0.0, 10.0, 10.0]}
    return Detection.model_validate({**fields, **parts})


def test_masks_are_scored_by_their_parts() -> None:
    square = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]]
    left, right = (
        [[0.0, 0.0], [3.0, 0.0], [3.0, 10.0], [0.0, 10.0]],
        [[7.0, 0.0], [10.0, 0.0], [10.0, 10.0], [7.0, 10.0]],
    )
    truth = Truth(0, np.array([0.0, 0, 10, 10]), polygon=np.array(square))
    for parts, expected in (([square], 1.0), ([left, right], 0.3)):  # 0.6 of the area: right at 0.5, 0.55, 0.6
        tally = DetectionTally(Task.SEGMENT, ("first",), 0.25)
        tally.add([truth], Answer(detections=(_detection(polygon=square, parts=parts),)))
        metrics = tally.finish().metrics
        assert metrics["mAP50-95"] == pytest.approx(1.0)
        assert metrics["mask-mAP50-95"] == pytest.approx(expected, abs=0.11)


def test_poses_are_scored_by_their_points() -> None:
    points = np.array([[2.0, 2.0, 2.0], [8.0, 8.0, 2.0]])
    truth = Truth(0, np.array([0.0, 0, 10, 10]), keypoints=points)
    for shift, expected in ((0.0, 1.0), (30.0, 0.0)):
        tally = DetectionTally(Task.POSE, ("first",), 0.25)
        keypoints = (points + np.array([shift, 0, 0])).tolist()
        tally.add([truth], Answer(detections=(_detection(keypoints=keypoints),)))
        metrics = tally.finish().metrics
        assert metrics["mAP50"] == pytest.approx(1.0)
        assert metrics["OKS-mAP50"] == pytest.approx(expected)
        # Precision and recall are those of the task's own measure.
        assert metrics["recall"] == expected


def test_empty_pictures_cost_nothing_and_false_alarms_do() -> None:
    tally = DetectionTally(Task.DETECT, ("first",), 0.25)
    tally.add([], Answer(detections=()))
    assert tally.finish().metrics["mAP50"] == 0.0
    tally.add([Truth(0, np.array([0.0, 0, 10, 10]))], Answer(detections=(_detection(confidence=0.5),)))
    assert tally.finish().metrics["mAP50"] == pytest.approx(1.0)
    tally.add([], Answer(detections=(_detection(confidence=0.8),)))
    assert tally.finish().metrics["mAP50"] == pytest.approx(0.5)


def test_a_report_has_numbers_and_charts(found: LoadedModel, tmp_path: Path) -> None:
    evaluation = evaluate(found, load_dataset(write_detections(tmp_path / "data"), Task.DETECT))
    files = write_evaluation(evaluation, {"model": "tested"}, tmp_path / "new" / "report")
    assert {path.name for path in files} == {
        FACTS_FILE, "confusion.png", "box-precision-recall.png", "box-f1.png"
    }  # fmt: skip
    facts = json.loads((tmp_path / "new" / "report" / FACTS_FILE).read_text())
    assert facts["model"] == "tested"
    assert facts["pictures"] == len(LEVELS)
    assert facts["confusion"]["names"] == ["first", "second", "nothing"]
    for file in files[1:]:
        drawn = cv2.imread(str(file))
        assert drawn is not None
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 5
