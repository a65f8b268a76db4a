import base64
from datetime import timedelta
from pathlib import Path

from schemas.frame import INLINE_LIMIT_BYTES, Origin, parse_frame
from sightline.runtime.objectstore.folder import FolderStore
from sinks.postgres.replay_frames import KnownFrame
from streams.replay.archive import Archive
from tests.unit.streams.replay.samples import APPENDED_MS, NOW

FRAME_ID = "01234567-89ab-8def-8123-456789abcdef"
PICTURE = KnownFrame(0, 5, FRAME_ID, "e5", "/c", NOW, NOW, "image/jpeg", "pictures/a.jpg", 7)


def _letter(**fields: object) -> KnownFrame:
    kept = [["ce_id", base64.b64encode(b"\xff").decode()], ["x", None]]
    given: dict[str, object] = {
        "partition": 0, "offset": 5, "frame_id": FRAME_ID, "event_id": None, "source": None, "captured_at": None,
        "answered_at": NOW, "media_type": None, "key": "deadletters/a", "size_bytes": 7, "original": True,
        "headers": kept, "message_key": b"k", **fields,
    }  # fmt: skip
    return KnownFrame(**given)  # type: ignore[arg-type]


def test_a_kept_picture_becomes_the_frame_that_it_was(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    archive = Archive(store)
    assert not archive.has(PICTURE)
    assert archive.restore(PICTURE) is None
    store.put("pictures/a.jpg", b"picture", "image/jpeg")
    assert archive.has(PICTURE)
    restored = archive.restore(PICTURE)
    assert restored is not None
    frame = parse_frame(restored.value, restored.headers, Origin("t", 0, 5), restored.timestamp_ms)
    assert (frame.event_id, frame.source, frame.captured_at, frame.value) == ("e5", "/c", NOW, b"picture")
    assert (restored.frame_id, restored.key, restored.timestamp_ms) == (FRAME_ID, b"/c", APPENDED_MS)
    assert not restored.original


def test_one_too_large_to_travel_inline_is_claimed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    data = bytes(INLINE_LIMIT_BYTES + 1)
    store.put("pictures/a.jpg", data, "image/jpeg")
    restored = Archive(store).restore(PICTURE)
    assert restored is not None
    assert restored.value is None
    (address,) = [value for name, value in restored.headers if name == "ce_dataref"]
    key = (address or b"").decode().removeprefix(store.address(""))
    assert store.get(key.lstrip("/"), len(data)) == data


def test_a_dead_letters_original_has_its_own_headers_and_no_forced_id_where_it_says_its_time(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("deadletters/a", b"content", "application/octet-stream")
    restored = Archive(store).restore(_letter())
    assert restored is not None
    assert (restored.key, restored.value, restored.headers) == (b"k", b"content", [("ce_id", b"\xff"), ("x", None)])
    assert (restored.frame_id, restored.original) == (FRAME_ID, True)
    came = Archive(store).restore(_letter(captured_at=NOW - timedelta(hours=1)))
    assert came is not None
    assert came.timestamp_ms == APPENDED_MS - 3_600_000
    timed = _letter(headers=[["ce_time", base64.b64encode(b"x").decode()]])
    restored = Archive(store).restore(timed)
    assert restored is not None
    assert restored.frame_id is None


def test_a_dead_letter_without_a_value_needs_no_store() -> None:
    known = _letter(key=None, size_bytes=0)
    archive = Archive(None)
    assert archive.has(known)
    restored = archive.restore(known)
    assert restored is not None
    assert restored.value is None
    assert not archive.has(PICTURE)
    assert archive.restore(PICTURE) is None
