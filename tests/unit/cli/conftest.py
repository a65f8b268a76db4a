"""What several tests of commands ask for."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.pictures import jpeg


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(number))
    return folder


@pytest.fixture
def no_native_threads() -> Iterator[None]:
    """End OpenCV's threads, which other tests have started: a child that is forked would wait for them for ever."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # ends them at once, which 0 does not
    yield
    cv2.setNumThreads(before)
