"""Values too large for a message: never overwritten, never lost."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.deadletter import Failed, dead_letter_message, parse_dead_letter
from schemas.errors import Code, InputError, SetupError, Stage
from schemas.frame import Origin
from schemas.headers import last_text
from schemas.message import Message, artifact_message
from sightline.runtime.objectstore import ObjectStore, open_store
from sightline.runtime.settings import S3Settings
from streams.offload import ARTIFACT_LIMIT_BYTES, Offload

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}", S3Settings())


def _letter(value: bytes | None) -> Message:
    failed = Failed(b"/c", value, [], Origin("frames.x", 0, 7), 1000)
    error = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "?")
    return dead_letter_message("x", failed, error, now=NOW, worker="w")


def test_a_refused_dead_letter_keeps_its_value_in_the_store(store: ObjectStore) -> None:
    message = Offload(store).refused_dead_letter(_letter(b"ORIGINAL"))
    letter = parse_dead_letter(message.headers)
    key = f"deadletters/x/{letter.dl_id}"
    assert message.value is None
    assert letter.dataref == store.address(key)
    assert store.get(key, 100) == b"ORIGINAL"


def test_one_that_is_refused_again_does_not_lose_it(store: ObjectStore) -> None:
    offload = Offload(store)
    message = offload.refused_dead_letter(_letter(b"ORIGINAL"))
    with pytest.raises(SetupError):
        offload.refused_dead_letter(message)
    assert store.get(f"deadletters/x/{parse_dead_letter(message.headers).dl_id}", 100) == b"ORIGINAL"


def test_a_refused_dead_letter_without_a_value_makes_no_object(store: ObjectStore) -> None:
    with pytest.raises(SetupError):
        Offload(store).refused_dead_letter(_letter(None))
    assert list(store.list()) == []


@pytest.mark.parametrize(("size", "by_reference"), [(ARTIFACT_LIMIT_BYTES, False), (ARTIFACT_LIMIT_BYTES + 1, True)])
def test_only_an_artifact_over_the_limit_goes_by_reference(
    store: ObjectStore, size: int, *, by_reference: bool
) -> None:
    message = artifact_message("x", "pictures/a.jpg", bytes(size), "image/jpeg", NOW)
    sent = Offload(store).artifact(message, "pictures/a.jpg", "image/jpeg")
    assert (sent.value is None) == by_reference
    assert (last_text(sent.headers, "ce_dataref") == store.address("pictures/a.jpg")) == by_reference


def test_without_a_store_what_does_not_fit_waits() -> None:
    with pytest.raises(SetupError):
        Offload(None).refused_dead_letter(_letter(b"1"))


def test_what_the_store_refuses_waits() -> None:
    class Refusing:
        def put(self, *_: object) -> None:
            raise InputError(Code.OBJECT_REJECTED, Stage.SINK_OBJECTS, "too large")

    with pytest.raises(SetupError):
        Offload(Refusing()).refused_dead_letter(_letter(b"1"))  # type: ignore[arg-type]
