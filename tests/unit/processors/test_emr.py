import json
from typing import Any

import pytest

from processors.emr import emr_json
from schemas.result import Result

RESULT: dict[str, Any] = {
    "result_id": "r",
    "frame_id": "f",
    "pipeline": "polyp",
    "source": "/rooms/3",
    "captured_at": "2025-03-01T11:59:59Z",
    "processed_at": "2025-03-01T12:00:00.5Z",
    "verdict": "polyp",
    "summary": {"count": 1},
    "detections": [
        {
            "class": "polyp",
            "class_id": 0,
            "confidence": 0.89,
            "bbox": [1.25, 2, 30, 40.5],
            "polygon": [[1, 2]],
            "track_id": 4,
        }
    ],
    "models": [
        {"role": "detector", "name": "demo-polyp", "version": "1.2", "digest": "0" * 64},
        {"role": "other", "name": "x", "version": "9", "digest": "1" * 64},
    ],
}


def test_the_form_has_these_fields_and_no_others() -> None:
    data = emr_json(Result.model_validate(RESULT))
    assert data is not None
    assert json.loads(data) == {
        "detections": [{"bbox": [1.25, 2.0, 30.0, 40.5], "confidence": 0.89, "class": "polyp"}],
        "processed_at": "2025-03-01T12:00:00.500000Z",
        "model_version": "demo-polyp/1.2",
    }
    assert list(json.loads(data)) == ["detections", "processed_at", "model_version"]
    assert list(json.loads(data)["detections"][0]) == ["bbox", "confidence", "class"]


def test_a_clear_picture_has_an_empty_list() -> None:
    data = emr_json(Result.model_validate(RESULT | {"detections": []}))
    assert data is not None
    assert json.loads(data)["detections"] == []


@pytest.mark.parametrize("changes", [{"detections": None}, {"models": None}, {"kind": "skipped", "detections": None}])
def test_where_nobody_looked_there_is_no_form(changes: dict[str, Any]) -> None:
    assert emr_json(Result.model_validate(RESULT | changes)) is None


def test_times_are_in_utc() -> None:
    data = emr_json(Result.model_validate(RESULT | {"processed_at": "2025-03-01T13:00:00+01:00"}))
    assert data is not None
    assert json.loads(data)["processed_at"] == "2025-03-01T12:00:00.000000Z"
