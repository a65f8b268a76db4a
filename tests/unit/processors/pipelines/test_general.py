import pytest

from processors.infer.interface import Answer
from schemas.result import Classification
from tests.unit.processors.pipelines.materials import (
    detection,
    material,
    rectangle,
    summarise,
    summarise_detections,
)

FOUND = [detection("cat", 0.8), detection("ape", 0.7), detection("cat", 0.6)]


@pytest.mark.parametrize("name", ["detect", "segment", "pose"])
def test_objects_are_counted_by_class(name: str) -> None:
    summary = summarise_detections(name, FOUND)
    assert (summary.verdict, summary.score) == ("found", None)
    assert summary.facts["count"] == 3
    assert summary.facts["counts"] == {"ape": 1, "cat": 2}
    assert summary.facts["max_confidence"] == 0.8


@pytest.mark.parametrize("name", ["detect", "segment", "pose"])
def test_nothing_found(name: str) -> None:
    summary = summarise_detections(name, [])
    assert summary.verdict == "none"
    assert (summary.facts["count"], summary.facts["counts"]) == (0, {})
    assert "max_confidence" not in summary.facts


def test_segment_gives_each_class_its_share_of_the_picture() -> None:
    whole = detection("sky", parts=[rectangle(0, 0, 320, 480)])
    pieces = detection("sea", parts=[rectangle(0, 0, 64, 48), rectangle(100, 100, 164, 148)])
    joined = detection("sea", polygon=rectangle(0, 0, 64, 48))
    bare = detection("fog")
    summary = summarise_detections("segment", [whole, pieces, joined, bare])
    assert summary.facts["area_shares"] == {"fog": 0.0, "sea": 0.03, "sky": 0.5}


def test_pose_counts_the_keypoints_that_can_be_seen() -> None:
    seen = detection(keypoints=[[1.0, 1.0, 0.9], [2.0, 2.0, 0.5], [3.0, 3.0, 0.49]])
    flat = detection(keypoints=[[1.0, 1.0, None], [2.0, 2.0, None]])
    assert summarise_detections("pose", [seen, flat]).facts["keypoints_seen"] == [2, 2]
    strict = summarise_detections("pose", [seen, flat], {"min_visibility": 0.9})
    assert strict.facts["keypoints_seen"] == [1, 2]


def classified(label: str, **probabilities: float) -> Answer:
    return Answer(
        classification=Classification(label=label, probability=probabilities[label], probabilities=probabilities)
    )


def test_classify_gives_the_label_and_its_lead() -> None:
    summary = summarise("classify", material(classified("cat", ape=0.3, cat=0.6, dog=0.1)))
    assert summary.verdict == "cat"
    assert summary.facts == {"label": "cat", "probability": 0.6, "margin": 0.3}


def test_classify_is_uncertain_below_the_least_probability() -> None:
    given = material(classified("cat", ape=0.4, cat=0.6))
    assert summarise("classify", given, {"min_probability": 0.6}).verdict == "cat"
    unsure = summarise("classify", given, {"min_probability": 0.61})
    assert (unsure.verdict, unsure.facts["label"]) == ("uncertain", "cat")


def test_classify_of_one_class_has_no_lead() -> None:
    assert "margin" not in summarise("classify", material(classified("cat", cat=0.6))).facts


@pytest.mark.parametrize("name", ["detect", "segment", "pose", "banana", "polyp", "gesture"])
def test_an_answer_of_another_task_is_never_read_as_nothing_found(name: str) -> None:
    for answer in (None, classified("cat", cat=0.6)):
        with pytest.raises(ValueError, match="without"):
            summarise(name, material(answer))


@pytest.mark.parametrize("name", ["classify", "deepfake"])
def test_an_answer_without_a_classification_is_refused(name: str) -> None:
    for answer in (None, Answer(detections=())):
        with pytest.raises(ValueError, match="without"):
            summarise(name, material(answer))
