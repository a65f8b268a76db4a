"""The cache of models: what it yields is whole and stays while it is used; what is used least makes room."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.activation import ModelAddress
from schemas.errors import ModelCode, ModelError, OutageError, SetupError
from schemas.modelcard import CARD_FILE
from sightline.models.cache import ModelCache
from sightline.models.cardfile import CardChanges
from sightline.models.local import LocalModel, read_model
from sightline.models.store import ModelStore
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import S3Settings
from tests.unit.models.samples import ULTRALYTICS, address, write_onnx

_ROOM = 1024 * 1024


class Shelf:
    """A store with a few models, that counts downloads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = ModelStore(open_store(f"file://{folder}/objects", S3Settings()))
        self.downloads: list[str] = []

    def add(self, version: str) -> ModelAddress:
        path = write_onnx(self.folder / "m.onnx", ULTRALYTICS, seed=int(version))
        model = read_model(path, changes=CardChanges(name="shapes", version=version))
        self.store.add(model)
        return ModelAddress.of(model.card)

    def download(self, place: ModelAddress, folder: Path) -> LocalModel:
        self.downloads.append(place.version)
        return self.store.download(place, folder)

    def cache(self, max_bytes: int = _ROOM) -> ModelCache:
        return ModelCache(self.folder / "cache", max_bytes, self.download)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def _kept(shelf: Shelf) -> set[str]:
    return {path.name for path in (shelf.folder / "cache").iterdir() if path.is_dir()}


def test_a_model_is_downloaded_once(shelf: Shelf) -> None:
    place = shelf.add("1")
    for cache in (shelf.cache(), shelf.cache()):
        with cache.use(place) as model:
            assert model.digest == place.digest
            assert model.weights.is_file()
    assert shelf.downloads == ["1"]
    assert _kept(shelf) == {place.digest}


def test_threads_that_want_the_same_share_one_download(shelf: Shelf) -> None:
    place = shelf.add("1")
    cache = shelf.cache()
    together = threading.Barrier(6)

    def use() -> str:
        together.wait(10)
        with cache.use(place) as model:
            return model.digest

    with ThreadPoolExecutor(6) as pool:
        digests = [done.result() for done in [pool.submit(use) for _ in range(6)]]
    assert digests == [place.digest] * 6
    assert shelf.downloads == ["1"]


@pytest.mark.parametrize("file", ["model.onnx", CARD_FILE])
@pytest.mark.parametrize("content", [b"damaged", None])
def test_a_damaged_copy_is_downloaded_again(shelf: Shelf, file: str, content: bytes | None) -> None:
    place = shelf.add("1")
    cache = shelf.cache()
    with cache.use(place) as model:
        path = model.weights.with_name(file)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with cache.use(place) as model:
        assert model.digest == place.digest
    assert shelf.downloads == ["1", "1"]


def test_a_copy_of_another_model_is_no_copy(shelf: Shelf) -> None:
    first, second = shelf.add("1"), shelf.add("2")
    cache = shelf.cache()
    for place in (first, second):
        with cache.use(place):
            pass
    folder = shelf.folder / "cache"
    for file in ("model.onnx", CARD_FILE):
        (folder / first.digest / file).write_bytes((folder / second.digest / file).read_bytes())
    with cache.use(first) as model:
        assert model.digest == first.digest


def test_what_is_damaged_in_the_store_is_refused_and_leaves_nothing(shelf: Shelf) -> None:
    place = shelf.add("1")
    shelf.store.objects.put(f"models/shapes/1/{place.digest}/model.onnx", b"x", "text/plain")
    with pytest.raises(ModelError) as caught, shelf.cache().use(place):
        pass
    assert caught.value.code is ModelCode.DIGEST_MISMATCH
    assert _kept(shelf) == set()
    with pytest.raises(ModelError), shelf.cache().use(address(digit="d")):
        pass


def test_what_was_used_longest_ago_makes_room(shelf: Shelf) -> None:
    places = [shelf.add(version) for version in ("1", "2", "3")]
    for place in places[:2]:
        with shelf.cache().use(place):
            pass
    folder = shelf.folder / "cache"
    size = sum(path.stat().st_size for path in (folder / places[0].digest).iterdir())
    for place, age in ((places[0], 10), (places[1], 20)):
        os.utime(folder / place.digest, (time.time() - age,) * 2)
    with shelf.cache(max_bytes=2 * size + size // 2).use(places[2]):
        pass
    assert _kept(shelf) == {places[0].digest, places[2].digest}
    # Use renews.
    os.utime(folder / places[2].digest, (time.time() - 10,) * 2)
    with shelf.cache().use(places[0]):
        pass
    with shelf.cache(max_bytes=2 * size + size // 2).use(places[1]):
        pass
    assert _kept(shelf) == {places[0].digest, places[1].digest}


def test_what_is_in_use_stays_also_for_another_process(shelf: Shelf) -> None:
    first, second = shelf.add("1"), shelf.add("2")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(shelf.folder), first.model_dump_json()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        with shelf.cache(max_bytes=1).use(second):
            assert _kept(shelf) == {first.digest, second.digest}
        holder.stdin.close()
    assert holder.returncode == 0
    with shelf.cache(max_bytes=1).use(shelf.add("3")) as model:
        assert _kept(shelf) == {model.digest}


_HOLD = """
import sys
from pathlib import Path
from schemas.activation import ModelAddress
from tests.unit.models.test_cache import Shelf
with Shelf(Path(sys.argv[1])).cache().use(ModelAddress.model_validate_json(sys.argv[2])) as model:
    print("held", flush=True)
    sys.stdin.read()
    assert model.weights.is_file()
"""


def test_what_a_killed_download_left_goes_in_time(shelf: Shelf) -> None:
    place = shelf.add("1")
    folder = shelf.folder / "cache"
    for name, age_s in ((".part-old", 2 * 24 * 3600), (".part-new", 60), ("engines", 2 * 24 * 3600)):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (time.time() - age_s,) * 2)
    with shelf.cache(max_bytes=1).use(place):
        pass
    assert _kept(shelf) == {".part-new", "engines", place.digest}


def test_a_store_that_is_away_is_said_so(shelf: Shelf) -> None:
    def away(place: ModelAddress, folder: Path) -> LocalModel:
        raise OutageError("objects", f"{place} {folder.is_dir()}")

    place = shelf.add("1")
    with pytest.raises(OutageError, match="objects"), ModelCache(shelf.folder / "cache", _ROOM, away).use(place):
        pass
    assert _kept(shelf) == set()


def test_a_folder_that_cannot_be_had_is_said_so(shelf: Shelf) -> None:
    place = shelf.add("1")
    (shelf.folder / "cache").write_text("a file")
    with pytest.raises(SetupError, match="model cache"), shelf.cache().use(place):
        pass
    (shelf.folder / "cache").unlink()
    (shelf.folder / "cache").symlink_to("/proc/1/nowhere")
    with pytest.raises(OutageError, match="model cache"), shelf.cache().use(place):
        pass
