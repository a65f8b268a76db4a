"""Overlays as files, and the page that shows them."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from schemas.frame import Origin
from schemas.result import ArtifactReference, Detection, Result
from sightline.demo.album import Album
from sightline.demo.exhibits import Exhibit
from sightline.demo.sample import Sample, Seen
from sightline.demo.summary import album_lines
from sightline.demo.tally import Answer, SentFrame, Tally
from sightline.runtime.objectstore.folder import FolderStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _answer(tally: Tally, name: str, key: str, offset: int = 0) -> None:
    sample = Sample(name, b"x", "image/jpeg", Seen("frame", frozenset({"overlay"})), pipeline="polyp")
    origin = Origin("frames.polyp", 0, offset)
    found = Detection(class_name="<polyp>", class_id=0, confidence=0.9, bbox=[0, 0, 1, 1])
    overlay = ArtifactReference(kind="overlay", key=key, sha256="0", media_type="image/jpeg", size_bytes=3)
    result = Result(
        result_id="r", frame_id="f", pipeline="polyp", source="/a", captured_at=NOW, processed_at=NOW,
        verdict="polyp", detections=[found], artifacts=[overlay],
    )  # fmt: skip
    tally.sent(SentFrame(origin, sample, "/a", NOW, "f"))
    tally.answered(Answer(origin, result, NOW))


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.sources.append(dict(attrs)["src"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def test_overlays_get_the_names_of_their_pictures_and_stand_on_the_page(tmp_path: Path, store: FolderStore) -> None:
    tally = Tally()
    album = Album(tally, store, tmp_path)
    for number, name in enumerate(("one & two.jpg", "three.png")):
        store.put(f"overlays/{number}.jpg", b"jpg", "image/jpeg")
        _answer(tally, name, f"overlays/{number}.jpg", number)
    album.update()
    assert album.count() == 2
    page = _Images()
    page.feed(album.page.read_text(encoding="utf-8"))
    assert page.sources == ["polyp/one & two.jpg", "polyp/three.jpg"]
    assert all((album.page.parent / source).read_bytes() == b"jpg" for source in page.sources)
    assert "polyp, 1 <polyp>" in page.text


def test_what_is_not_stored_yet_comes_later_and_what_is_there_is_left(tmp_path: Path, store: FolderStore) -> None:
    tally = Tally()
    album = Album(tally, store, tmp_path)
    _answer(tally, "one.jpg", "overlays/1.jpg")
    album.update()
    assert (album.count(), album.page.exists()) == (0, False)
    store.put("overlays/1.jpg", b"jpg", "image/jpeg")
    album.update()
    assert album.count() == 1
    album.page.unlink()
    album.update()
    assert not album.page.exists()


def test_the_end_says_what_to_open_and_what_to_try(tmp_path: Path, store: FolderStore) -> None:
    tally = Tally()
    album = Album(tally, store, tmp_path)
    exhibits = [Exhibit("gesture", {"detector": Path("m/hand"), "classifier": Path("m/gesture")}, Path("pictures"))]
    assert list(album_lines(album, exhibits)) == []
    store.put("overlays/1.jpg", b"jpg", "image/jpeg")
    _answer(tally, "one.jpg", "overlays/1.jpg")
    album.update()
    first, then = album_lines(album, exhibits)
    assert str(tmp_path / "overlays" / "index.html") in first
    assert "sightline run gesture pictures --model detector=m/hand --model classifier=m/gesture --overlay" in then
