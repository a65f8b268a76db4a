import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.alert import Alert, make_alert
from schemas.identity import alert_id
from schemas.message import alert_message, artifact_message, result_message
from schemas.result import Check, Detection, Result

NOW = datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
BASE: dict[str, Any] = {
    "result_id": "r", "frame_id": "f", "pipeline": "civic", "source": "/c",
    "captured_at": "2024-05-06T07:08:09.000010Z", "processed_at": "2024-05-06T07:08:10.000000Z",
}  # fmt: skip
TRACE = f"00-{'4bf92f35' * 4}-{'00f067aa' * 2}-01"


def read(**changes: Any) -> Result:
    return Result.model_validate_json(json.dumps(BASE | changes))


def test_a_minimal_result_is_live_and_of_a_frame() -> None:
    assert json.loads(read().to_json()) == BASE | {"kind": "frame", "variant": "live"}


def test_unknown_fields_are_kept_at_every_level() -> None:
    image = {"width": 1, "height": 1, "media_type": "x", "size_bytes": 0, "sha256": "", "new": {"a": [None, 1, "é"]}}
    written = json.loads(read(image=image, new=2**100, other=[{"x": None}]).to_json())
    assert written["image"] == image
    assert (written["new"], written["other"]) == (2**100, [{"x": None}])


def test_null_fields_are_absent() -> None:
    written = json.loads(read(verdict=None, new=None, summary={"kept": None}).to_json())
    assert "verdict" not in written
    assert "new" not in written
    assert written["summary"] == {"kept": None}


def test_a_missing_visibility_stays_null() -> None:
    found = {"class": "hand", "class_id": 0, "confidence": 1, "bbox": [0, 0, 1, 1], "keypoints": [[1, 2, None]]}
    assert json.loads(read(detections=[found]).to_json())["detections"][0]["keypoints"] == [[1, 2, None]]


def test_a_class_is_called_class_on_the_wire() -> None:
    made = Detection(class_name="hand", class_id=0, confidence=0.5, bbox=[0, 0, 1, 1])
    assert json.loads(made.to_json())["class"] == "hand"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-06T09:08:09+02:00", "2024-05-06T07:08:09.000000Z"),
        ("2024-05-06T07:08:09.123456789Z", "2024-05-06T07:08:09.123456Z"),
        ("0987-01-01T00:00:00Z", "0987-01-01T00:00:00.000000Z"),
    ],
)
def test_times_are_written_in_utc(text: str, expected: str) -> None:
    assert json.loads(read(captured_at=text).to_json())["captured_at"] == expected


def test_times_built_in_other_zones_are_utc_at_once() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=2)))
    made = Result(result_id="r", frame_id="f", pipeline="p", source="s", captured_at=elsewhere, processed_at=NOW)
    assert (made.captured_at, made.captured_at.tzinfo) == (NOW, UTC)


@pytest.mark.parametrize("text", ["2024-05-06T07:08:09", "2024-05-06", "0001-01-01T00:00:00+14:00", "x", ""])
def test_times_that_are_no_moment_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read(captured_at=text)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["score", "summary", "timings_ms", "new", "deep"])
def test_numbers_that_json_lacks_are_refused(place: str, number: float) -> None:
    content: dict[str, Any] = {
        "score": number, "summary": {"a": [{"b": number}]}, "timings_ms": {"a": number}, "new": number,
        "deep": {"a": [number]},
    }  # fmt: skip
    with pytest.raises(ValidationError):
        read(**{place: content[place]})
    with pytest.raises(ValidationError):
        Result.model_validate(BASE | {place: content[place]})


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 100.1}, {"score": -0.1}, {"detections": [{}]}, {"result_id": None}, {"image": {"width": 0}},
        {"detections": [{"class": "a", "class_id": 0, "confidence": 1.1, "bbox": [0, 0, 1, 1]}]},
        {"detections": [{"class": "a", "class_id": 0, "confidence": 1, "bbox": [0, 0, 1]}]},
    ],
)  # fmt: skip
def test_values_out_of_bounds_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**changes)


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"[" * 100_000, b"\xff", b'{"result_id": "\\ud800"}'])
def test_values_that_are_no_result_are_refused(value: bytes) -> None:
    with pytest.raises(ValidationError):
        Result.model_validate_json(value)


def test_lone_surrogates_are_not_written() -> None:
    check = Check(name="a", passed=True, value=1, score=1, reason="x").model_copy(update={"reason": "\ud800"})
    with pytest.raises(ValueError, match="surrogates"):
        check.to_json()


def test_the_message_of_a_result() -> None:
    message = result_message(read(), TRACE)
    assert (message.topic, message.key, message.value) == ("results.civic", b"/c", read().to_json())
    assert message.headers == [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"sightline.result.v1"),
        ("ce_id", b"r"),
        ("ce_source", b"/sightline/pipelines/civic"),
        ("ce_time", b"2024-05-06T07:08:10.000000Z"),
        ("content-type", b"application/json"),
        ("ce_dataschema", b"urn:sightline:schema:result:v1"),
        ("traceparent", TRACE.encode()),
    ]
    assert result_message(read()).headers == message.headers[:-1]


def test_an_alert_and_its_message() -> None:
    alert = make_alert(rule="r", source="s", window="w", raised_at=NOW, summary="text", facts={"a": 1})
    assert alert.alert_id == alert_id("r", "s", "w")
    message = alert_message(alert)
    assert (message.topic, message.key) == ("alerts", b"r|s")
    assert dict(message.headers)["ce_type"] == b"sightline.alert.v1"
    assert Alert.model_validate_json(message.value or b"") == alert
    with pytest.raises(ValidationError):
        make_alert(rule="r", source="s", window="w", raised_at=NOW, summary="text", facts={"a": math.nan})


def test_the_message_of_an_artifact() -> None:
    message = artifact_message("civic", "a/b.jpg", b"x", "image/jpeg", NOW)
    assert (message.topic, message.key, message.value) == ("artifacts.civic", b"a/b.jpg", b"x")
    assert "ce_dataref" not in dict(message.headers)
    stored = artifact_message("civic", "a/b.jpg", None, "image/jpeg", NOW, "s3://b/a/b.jpg")
    assert dict(stored.headers)["ce_dataref"] == b"s3://b/a/b.jpg"
