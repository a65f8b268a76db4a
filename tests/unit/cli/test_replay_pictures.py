"""Where a compared frame's picture is found, and what is said where it is nowhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from schemas.errors import OutageError
from schemas.frame import frame_headers
from schemas.identity import sha256_hex
from schemas.result import ArtifactReference, Image, Result
from sightline.cli import replay_pictures
from sightline.cli.replay_pictures import Pictures
from sightline.compare.report import Shown
from sightline.runtime.objectstore.folder import FolderStore
from sightline.runtime.settings import load_settings
from streams.read import TopicRecord
from tests.pictures import jpeg
from tests.unit.compare.samples import change, result

SENT = jpeg(1, 640, 480)
KEPT = jpeg(2, 640, 480)


class Broker:
    """What `read_records` would find: one record at every place, or an outage."""

    def __init__(self, value: bytes | None, extensions: dict[str, str] | None = None) -> None:
        self.value = value
        self.extensions = extensions
        self.asked = 0
        self.away = False
        self.shift = 0

    def read(self, _settings: object, places: Sequence[TopicPartition], *, timeout_s: float) -> list[TopicRecord]:
        assert timeout_s > 0
        self.asked += 1
        if self.away:
            raise OutageError("kafka", "no answer")
        headers = frame_headers(event_id="e", source="/c", media_type="image/jpeg", extensions=self.extensions)
        return [
            TopicRecord(one.topic, one.partition, one.offset + self.shift, 0, None, self.value, headers)
            for one in places
        ]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker(SENT)
    monkeypatch.setattr(replay_pictures, "read_records", made.read)
    return made


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setenv("SIGHTLINE_OBJECTS_URL", f"file://{tmp_path}/objects")
    return FolderStore(tmp_path / "objects")


def answers(**changes: Any) -> tuple[Result, Result]:
    image = Image(width=640, height=480, media_type="image/jpeg", size_bytes=1, sha256=sha256_hex(SENT))
    fields = {"image": image, "artifacts": None, **changes}
    return result(verdict="accepted", **fields), result(verdict="rejected", **fields)


def kept() -> list[ArtifactReference]:
    return [ArtifactReference(kind="picture", key="p/1.jpg", sha256="0", media_type="image/jpeg", size_bytes=1)]


def show(pictures: Pictures, sides: tuple[Result, Result]) -> Shown:
    return pictures.show(change(*sides), *sides)


def test_a_kept_picture_goes_before_kafka(broker: Broker, objects: FolderStore) -> None:
    objects.put("p/1.jpg", KEPT, "image/jpeg")
    shown = show(Pictures(load_settings(), 1), answers(artifacts=kept()))
    assert shown.jpegs is not None
    assert shown.jpegs[0] != shown.jpegs[1]
    assert shown.headlines == ("accepted", "rejected")
    assert broker.asked == 0


def test_what_was_not_kept_comes_from_kafka(broker: Broker, objects: FolderStore) -> None:
    objects.put("p/other.jpg", KEPT, "image/jpeg")
    shown = show(Pictures(load_settings(), 1), answers(artifacts=kept()))
    assert shown.jpegs is not None
    assert broker.asked == 1


def test_a_claimed_picture_is_fetched(broker: Broker, objects: FolderStore) -> None:
    objects.put("claims/1.jpg", SENT, "image/jpeg")
    broker.value, broker.extensions = None, {"dataref": objects.address("claims/1.jpg")}
    assert show(Pictures(load_settings(), 1), answers()).jpegs is not None
    objects.delete("claims/1.jpg")
    assert show(Pictures(load_settings(), 1), answers()).jpegs is None


def test_another_record_in_its_place_is_not_taken(broker: Broker) -> None:
    broker.value = KEPT
    shown = show(Pictures(load_settings(), 1), answers())
    assert (shown.jpegs, shown.missing) == (None, "it was not kept, and Kafka has it no longer")
    broker.value, broker.shift = SENT, 1
    assert show(Pictures(load_settings(), 1), answers()).jpegs is None


def test_a_picture_that_cannot_be_decoded_is_named_so(broker: Broker, objects: FolderStore) -> None:
    objects.put("p/1.jpg", b"no picture", "image/jpeg")
    broker.value = None
    shown = show(Pictures(load_settings(), 1), answers(artifacts=kept()))
    assert (shown.jpegs, shown.missing) == (None, "it cannot be decoded (media_type_unknown)")


def test_a_service_that_is_away_is_asked_once(
    broker: Broker, objects: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.away = True
    gets = []

    def no_answer(_: FolderStore, key: str, max_bytes: int) -> bytes:
        gets.append((key, max_bytes))
        raise OutageError("objects", "no answer")

    monkeypatch.setattr(FolderStore, "get", no_answer)
    assert objects.stat("p/1.jpg") is None
    pictures, sides = Pictures(load_settings(), 1), answers(artifacts=kept())
    for _ in range(3):
        shown = show(pictures, sides)
        assert "the object store does not answer (OutageError)" in shown.missing
        assert "frames.civic cannot be read (OutageError)" in shown.missing
    assert (len(gets), broker.asked) == (1, 1)
