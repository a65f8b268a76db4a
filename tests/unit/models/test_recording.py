"""What the export script wrote down, read back as answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from processors.infer.interface import Answer
from schemas.modelcard import Task
from sightline.models.exporting.recording import read_recording
from sightline.models.tally import rings_of
from tests.unit.models.samples import make_card

_BOXES: dict[str, Any] = {
    "wh": [40, 30],
    "boxes": [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]],
    "confidences": [0.4, 0.9],
    "classes": [0, 1],
}


def _read(tmp_path: Path, line: dict[str, Any], **card: Any) -> Answer:
    file = tmp_path / "recording.jsonl"
    file.write_text(json.dumps(line) + "\n")
    named = make_card(classes=("apple", "pear"), class_map={"pear": "fruit"}, **card)
    ((wh, answer),) = read_recording(file, named)
    assert wh == (40, 30)
    return answer


def test_detections_come_by_falling_confidence_and_with_the_cards_names(tmp_path: Path) -> None:
    first, second = _read(tmp_path, _BOXES).detections or ()
    assert (first.class_name, first.class_id, first.confidence) == ("fruit", 1, 0.9)
    assert second.bbox == [1.0, 2.0, 3.0, 4.0]


def test_each_piece_of_a_mask_is_a_part(tmp_path: Path) -> None:
    pieces = [[[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]], [[3.0, 3.0]]]
    first, second = _read(tmp_path, {**_BOXES, "rings": [pieces, []]}, task=Task.SEGMENT).detections or ()
    assert rings_of(first) == []
    assert [ring.tolist() for ring in rings_of(second)] == pieces


def test_points_without_visibility_have_none(tmp_path: Path) -> None:
    points = [[[1.0, 2.0]], [[3.0, 4.0]]]
    first, _ = _read(tmp_path, {**_BOXES, "keypoints": points}).detections or ()
    assert first.keypoints == [[3.0, 4.0, None]]


def test_probabilities(tmp_path: Path) -> None:
    said = _read(tmp_path, {"wh": [40, 30], "probabilities": [0.25, 0.75]}).classification
    assert said is not None
    assert (said.label, said.probability) == ("fruit", 0.75)
    assert said.probabilities == pytest.approx({"fruit": 0.75, "apple": 0.25})
