"""Which files a command line means, and reading them within bounds."""

import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from schemas.errors import Code, InputError
from sightline.cli.files import UNKNOWN_MEDIA_TYPE, expand, media_type, read_picture
from tests.pictures import jpeg, png


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_patterns_and_files_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _touch(tmp_path, "b.jpg", "a.jpg", "in/d.png", "in/c.png", "in/deep/e.png", "in/.hidden", "in/.git/f")
    assert list(expand(["b.jpg", "*.jpg", "in"])) == [
        "b.jpg",
        "a.jpg",
        "b.jpg",
        "in/c.png",
        "in/d.png",
        "in/deep/e.png",
    ]
    assert list(expand(["**/*.png"])) == ["in/c.png", "in/d.png", "in/deep/e.png"]


def test_what_does_not_exist_is_not_dropped(tmp_path: Path) -> None:
    missing, pattern = str(tmp_path / "missing"), str(tmp_path / "*.jpg")
    assert list(expand([missing, pattern, "-"])) == [missing, pattern, "-"]


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    _touch(tmp_path, "a[1].jpg", "a1.jpg")
    assert list(expand([str(tmp_path / "a[1].jpg")])) == [str(tmp_path / "a[1].jpg")]


def test_the_time_of_writing_is_the_capture_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    os.utime(path, (0, 1_700_000_000.5))
    picture = read_picture(str(path), 3)
    assert picture.data == b"abc"
    assert picture.captured_at == datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)


@pytest.mark.parametrize(
    ("content", "code"), [(None, Code.CLAIM_NOT_FOUND), (b"", Code.VALUE_EMPTY), (b"abcd", Code.PICTURE_TOO_LARGE)]
)
def test_a_file_that_cannot_be_a_picture_has_a_code(tmp_path: Path, content: bytes | None, code: Code) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_picture(str(path), 3)
    assert caught.value.code is code


@pytest.mark.parametrize("name", [".", "nul\0name"])
def test_what_cannot_be_opened_has_a_code(name: str) -> None:
    with pytest.raises(InputError) as caught:
        read_picture(name, 3)
    assert caught.value.code is Code.CLAIM_UNREADABLE


def test_standard_input_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO(b"abcdefgh")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    with pytest.raises(InputError):
        read_picture("-", 3)
    assert stream.tell() == 4


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", jpeg(1), "image/jpeg"),
        ("a", png(1), "image/png"),
        ("a", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("a", b"\0\0\0\x18ftypheic", "image/heic"),
        ("a", b"II*\0", "image/tiff"),
        ("a.JPEG", b"", "image/jpeg"),
        ("a.heif", b"?", "image/heic"),
        ("a.txt", b"hello", UNKNOWN_MEDIA_TYPE),
    ],
)
def test_the_media_type_comes_from_the_bytes_then_the_name(name: str, data: bytes, kind: str) -> None:
    assert media_type(name, data) == kind
