import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from schemas.errors import Code, InputError, Stage
from schemas.result import (
    ArtifactReference,
    Check,
    Classification,
    Detection,
    Image,
    ModelReference,
    OriginReference,
    Quality,
    Result,
    WireModel,
)
from sightline.runtime.objectstore.folder import FolderStore
from sinks.objects.sink import ObjectEntry, ObjectsSink
from sinks.postgres import columns
from sinks.postgres.entries import AlertEntry, DeadLetterEntry, ResultEntry
from sinks.postgres.read import read_entry
from sinks.protocol import SinkRecord, VersionUnknownError
from tests.unit.sinks.samples import (
    SOURCE,
    artifact_record,
    dead_letter_record,
    gap_record,
    make_result,
    picture_key,
    result_record,
    with_headers,
    with_type,
    with_value,
)

MODELS: list[tuple[Any, type[WireModel]]] = [
    (columns.ResultColumns, Result),
    (columns.ImageColumns, Image),
    (columns.CheckColumns, Check),
    (columns.QualityColumns, Quality),
    (columns.DetectionColumns, Detection),
    (columns.ClassificationColumns, Classification),
    (columns.ModelColumns, ModelReference),
    (columns.OriginColumns, OriginReference),
    (columns.ArtifactColumns, ArtifactReference),
]


@pytest.mark.parametrize(("typed_dict", "model"), MODELS)
def test_columns_are_fields_of_the_wire_model(typed_dict: Any, model: type[WireModel]) -> None:
    wire = {field.alias or name: field for name, field in model.model_fields.items()}
    hints = get_type_hints(typed_dict)
    assert hints.keys() <= wire.keys()
    for name in hints:
        assert (name in typed_dict.__required_keys__) <= wire[name].is_required(), name
        assert (type(None) in get_args(hints[name])) == (type(None) in get_args(wire[name].annotation)), name


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[ObjectsSink]:
    opened = ObjectsSink(FolderStore(tmp_path), threads=1)
    yield opened
    opened.close()


def read_result(record: SinkRecord) -> ResultEntry:
    entry = read_entry(record)
    assert isinstance(entry, ResultEntry)
    return entry


def read_letter(record: SinkRecord) -> dict[str, Any]:
    entry = read_entry(record)
    assert isinstance(entry, DeadLetterEntry)
    return entry.columns


def test_unknown_fields_and_values_are_kept_in_the_body() -> None:
    made = result_record(make_result(kind="hologram", colour="blue"))
    entry = read_result(made)
    assert entry.result["kind"] == "hologram"
    assert json.loads(entry.body)["colour"] == "blue"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"result_id": 1}',
        json.dumps({**json.loads(make_result().to_json()), "captured_at": "2026-11-21T12:00:00"}).encode(),
        make_result().to_json().replace(b"81.2", b"NaN", 1),
        make_result().to_json().replace(b"accepted", b"\\ud800"),
    ],
)
def test_a_broken_result_is_invalid(value: bytes | None) -> None:
    with pytest.raises(InputError) as caught:
        read_entry(with_value(result_record(make_result()), value))
    assert (caught.value.code, caught.value.stage) == (Code.RECORD_INVALID, Stage.SINK_POSTGRES)


def test_the_reason_does_not_quote_the_input() -> None:
    value = make_result().to_json().replace(b'"decode":2.5', b'"Mrs Miller":"secret"')
    with pytest.raises(InputError) as caught:
        read_entry(with_value(result_record(make_result()), value))
    assert "Miller" not in caught.value.reason
    assert "secret" not in caught.value.reason


@pytest.mark.parametrize("made", [result_record(make_result()), gap_record()])
def test_another_major_version_waits_and_another_type_is_invalid(made: SinkRecord) -> None:
    kind = dict(made.headers or [])["ce_type"] or b""
    with pytest.raises(VersionUnknownError):
        read_entry(with_type(made, kind.replace(b".v1", b".v2")))
    for wrong in (b"", b"sightline.frame.v1", b"com.example.v2"):
        with pytest.raises(InputError, match="record_invalid"):
            read_entry(with_type(made, wrong))
    with pytest.raises(InputError, match="record_invalid"):
        read_entry(with_headers(made, None))


def test_a_topic_of_another_kind_is_invalid() -> None:
    made = result_record(make_result())
    with pytest.raises(InputError, match="record_invalid"):
        read_entry(SinkRecord("frames.civic", 0, 0, 0, None, made.value, made.headers))


def test_lost_offsets_make_a_gap() -> None:
    entry = read_entry(gap_record())
    assert isinstance(entry, AlertEntry)
    assert entry.gap is not None
    assert (entry.gap["partition"], entry.gap["from_offset"], entry.gap["to_offset"]) == (3, 10, 25)


def test_incomplete_facts_leave_the_alert() -> None:
    entry = read_entry(gap_record(from_offset="ten"))
    assert isinstance(entry, AlertEntry)
    assert entry.gap is None


def test_a_dead_letter_with_its_columns() -> None:
    letter = read_letter(dead_letter_record(9, frame_id="f-1"))
    assert (letter["code"], letter["stage"], letter["attempt"]) == ("picture_corrupt", "decode", 1)
    assert (letter["origin_topic"], letter["origin_partition"], letter["origin_offset"]) == ("frames.civic", 1, 9)
    assert (letter["source"], letter["event_id"], letter["frame_id"]) == (SOURCE, "e1", "f-1")
    assert (letter["value_size"], letter["fields_lost"]) == (6, [])
    assert letter["object_key"] == f"deadletters/civic/{letter['dl_id']}"


def test_a_null_value_has_no_object_and_an_empty_one_has() -> None:
    assert read_letter(dead_letter_record(value=None))["object_key"] is None
    assert read_letter(dead_letter_record(value=b""))["object_key"] is not None


def test_headers_added_after_the_block_do_not_hide_it() -> None:
    made = dead_letter_record()
    letter = read_letter(with_headers(made, [*(made.headers or []), ("traceparent", b"00-x"), ("mirror", b"b")]))
    assert letter["code"] == "picture_corrupt"
    assert letter["fields_lost"] == []
    assert [name for name, _ in json.loads(letter["headers"])][-2:] == ["traceparent", "mirror"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dl_id", b"../../etc"),
        ("dl_attempt", b"99999999999"),
        ("dl_offset", b"-1"),
        ("dl_time", b"yesterday"),
        ("dl_reason", b"a\x00b"),
        ("dl_worker", b"\xff"),
        ("dl_topic", b"t" * 5000),
        ("ce_source", b"\x00"),
        ("ce_time", b"never"),
    ],
)
def test_a_dead_letter_is_kept_without_the_offending_field(name: str, value: bytes) -> None:
    made = dead_letter_record()
    letter = read_letter(
        with_headers(made, [(known, value if known == name else old) for known, old in made.headers or []])
    )
    assert letter["fields_lost"] == [name]
    assert letter["dl_topic"] == "deadletters.civic"
    assert letter["value_size"] == 6


@pytest.mark.parametrize("headers", [None, [], [("dl_id", b"x")], [("dl_id", None), ("a\x00", None)]])
def test_a_dead_letter_without_a_block_is_kept_by_both_sinks_under_one_key(
    headers: list[tuple[str, bytes | None]] | None, sink: ObjectsSink
) -> None:
    made = with_headers(dead_letter_record(), headers)
    letter = read_letter(made)
    assert sink.read(made) == ObjectEntry(letter["object_key"], b"broken", "application/octet-stream")
    assert (letter["code"], letter["stage"]) == ("record_invalid", "sink.postgres")
    assert "\\u0000" not in letter["headers"]


def test_a_result_that_was_dead_lettered_has_its_camera_from_the_key() -> None:
    made = dead_letter_record(topic="results.civic", stage=Stage.SINK_POSTGRES)
    named = with_headers(
        made, [(k, b"/sightline/pipelines/civic" if k == "ce_source" else v) for k, v in made.headers or []]
    )
    assert read_letter(named)["source"] == SOURCE


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/./b", "a\nb", "k" * 1025, "\u00e9" * 513])
def test_names_that_no_object_may_have(key: str, sink: ObjectsSink) -> None:
    with pytest.raises(InputError) as caught:
        sink.read(artifact_record(key, b"x"))
    assert (caught.value.code, caught.value.stage) == (Code.OBJECT_REJECTED, Stage.SINK_OBJECTS)


def test_a_picture_must_be_what_its_name_says(sink: ObjectsSink) -> None:
    assert sink.read(artifact_record(picture_key(b"x"), b"x")).key == picture_key(b"x")
    with pytest.raises(InputError, match="object_rejected"):
        sink.read(artifact_record(picture_key(b"x"), b"y"))
