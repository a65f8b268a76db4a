"""The originals of dead letters: from the topic, or from row and object store once retention took them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.deadletter import Failed, dead_letter_message, parse_dead_letter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.message import Message
from sightline.runtime.objectstore import ObjectStore
from sightline.runtime.objectstore.folder import FolderStore
from sinks.postgres.read import read_dead_letter
from sinks.protocol import SinkRecord
from streams.read import TopicRecord
from streams.redrive_read import Originals, RecordReader

HEADERS: Headers = [("ce_id", b"1"), ("odd", b"\xff\x00"), ("odd", None), ("odd", b"")]
PLACE = ("deadletters.civic", 2, 7)


class _Reader:
    """Has one record, or none."""

    def __init__(self, record: TopicRecord | None) -> None:
        self._record = record

    def read(self, place: Origin) -> TopicRecord | None:
        assert (place.topic, place.partition, place.offset) == PLACE
        return self._record


def _letter(value: bytes | None = b"value", *, dataref: str | None = None, key: bytes | None = b"k") -> Message:
    failed = Failed(key, value, HEADERS, Origin("frames.civic", 0, 1), 1000)
    error = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "why")
    now = datetime(2026, 3, 1, 1, 2, 3, 4, tzinfo=UTC)
    return dead_letter_message("civic", failed, error, now=now, worker="w", frame_id="f", dataref=dataref)


def _record(letter: Message) -> TopicRecord:
    return TopicRecord(*PLACE, 2000, letter.key, letter.value, letter.headers)


def _row(letter: Message) -> dict[str, Any]:
    return read_dead_letter(SinkRecord(*PLACE, 2000, letter.key, letter.value, letter.headers)).columns


def _originals(record: TopicRecord | None, store: ObjectStore | None = None) -> Originals:
    return Originals(cast("RecordReader", _Reader(record)), store)


@pytest.mark.parametrize("value", [b"value", b"", None])
def test_from_the_topic(value: bytes | None) -> None:
    letter = _letter(value)
    found = _originals(_record(letter)).find(_row(letter))
    assert found is not None
    assert (found.key, found.value, found.headers) == (b"k", value, HEADERS)
    assert (found.stored, found.all_headers) == (value, letter.headers)


def test_a_value_in_the_object_store(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    letter = _letter(b"large", dataref="s3://b/k")
    row = _row(letter)
    assert _originals(_record(letter)).find(row) is None
    assert _originals(_record(letter), store).find(row) is None
    store.put(f"deadletters/civic/{row['dl_id']}", b"large", "application/octet-stream")
    found = _originals(_record(letter), store).find(row)
    assert found is not None
    assert (found.value, found.stored) == (b"large", None)


@pytest.mark.parametrize("value", [b"value", b"", None])
@pytest.mark.parametrize("key", [b"k", None])
def test_after_retention_row_and_store_give_the_same(tmp_path: Path, value: bytes | None, key: bytes | None) -> None:
    store, letter = FolderStore(tmp_path), _letter(value, key=key)
    row = _row(letter)
    if value is not None:
        assert _originals(None, store).find(row) is None
        store.put(row["object_key"], value, "application/octet-stream")
    found = _originals(None, store).find(row)
    assert found is not None
    assert (found.key, found.value, found.headers, found.stored) == (key, value, HEADERS, value)
    assert parse_dead_letter(found.all_headers) == parse_dead_letter(letter.headers)


def test_other_bytes_are_not_the_original(tmp_path: Path) -> None:
    store, row = FolderStore(tmp_path), _row(_letter())
    store.put(row["object_key"], b"other", "application/octet-stream")
    assert _originals(None, store).find(row) is None


def test_another_record_at_its_place_is_not_the_original(tmp_path: Path) -> None:
    other = TopicRecord(*PLACE, 2000, b"k", b"other", [("dl_id", b"another"), ("dl_topic", b"frames.civic")])
    row = _row(_letter())
    assert _originals(other, FolderStore(tmp_path)).find(row) is None


def test_what_was_purged_is_nowhere() -> None:
    assert _originals(None).find(_row(_letter(None)) | {"headers": None}) is None
