"""The model store over a folder: what is added comes back, and what is damaged is noticed."""

from pathlib import Path

import pytest

from schemas.activation import ModelAddress
from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.modelcard import model_digest
from sightline.models.cardfile import CardChanges
from sightline.models.local import LocalModel, read_model
from sightline.models.store import PREFIX, ModelStore
from sightline.runtime.objectstore import ObjectStore, open_store
from sightline.runtime.settings import S3Settings
from tests.unit.models.samples import ULTRALYTICS, address, write_onnx


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}/objects", S3Settings())


def _model(folder: Path, name: str = "shapes", version: str = "1", seed: int = 0) -> LocalModel:
    path = write_onnx(folder / f"{seed}.onnx", ULTRALYTICS, seed=seed)
    return read_model(path, changes=CardChanges(name=name, version=version))


def _keys(objects: ObjectStore) -> set[str]:
    return {info.key for info in objects.list()}


def test_a_model_comes_back_whole(tmp_path: Path, objects: ObjectStore) -> None:
    (tmp_path / "folder").mkdir()
    write_onnx(tmp_path / "folder/net.onnx", external="net.data")
    (tmp_path / "folder/card.yaml").write_text(
        "name: big\nversion: '1'\ntask: detect\nclasses: [a]\ninput_wh: [64, 64]\nlicence: MIT\nweights: net.onnx\n"
    )
    model = read_model(tmp_path / "folder")
    store = ModelStore(objects)
    assert store.add(model) is True
    place = ModelAddress.of(model.card)
    under = f"{PREFIX}big/1/{model.digest}/"
    assert _keys(objects) == {f"{under}{name}" for name in ("card.yaml", "net.onnx", "net.data")}
    assert store.addresses() == [place]
    assert store.card(place) == model.card
    target = tmp_path / "target"
    target.mkdir()
    got = store.download(place, target)
    assert got.card == model.card
    assert got.weights.read_bytes() == model.weights.read_bytes()


def test_adding_twice_changes_nothing(tmp_path: Path, objects: ObjectStore) -> None:
    store = ModelStore(objects)
    assert store.add(_model(tmp_path)) is True
    before = _keys(objects)
    assert store.add(_model(tmp_path)) is False
    assert _keys(objects) == before


def test_a_version_never_changes(tmp_path: Path, objects: ObjectStore) -> None:
    store = ModelStore(objects)
    store.add(_model(tmp_path))
    before = _keys(objects)
    with pytest.raises(ConfigurationError, match="a version never changes"):
        store.add(_model(tmp_path, seed=1))
    assert _keys(objects) == before
    assert store.add(_model(tmp_path, version="2", seed=1)) is True


def test_the_card_goes_last_so_that_half_a_model_is_not_listed(tmp_path: Path, objects: ObjectStore) -> None:
    written: list[str] = []

    class Recorder:
        def __getattr__(self, name: str) -> object:
            return getattr(objects, name)

        def put(self, key: str, data: bytes, media_type: str) -> None:
            written.append(key.rsplit("/", 1)[1])
            assert ModelStore(objects).addresses() == []
            objects.put(key, data, media_type)

    ModelStore(Recorder()).add(_model(tmp_path))  # type: ignore[arg-type]  # everything but put is the real one's
    assert written == ["model.onnx", "card.yaml"]
    assert len(ModelStore(objects).addresses()) == 1


def test_a_model_is_found_by_what_names_it_alone(tmp_path: Path, objects: ObjectStore) -> None:
    store = ModelStore(objects)
    models = [_model(tmp_path, *parts) for parts in (("one", "1", 0), ("two", "1", 1), ("two", "2", 2))]
    for model in models:
        store.add(model)
    one, two_1, two_2 = (ModelAddress.of(model.card) for model in models)
    assert store.find("one") == one
    assert store.find("two@2") == two_2
    assert store.find(two_1.digest[:12]) == two_1
    with pytest.raises(ConfigurationError, match=f"two@1 .{two_1.digest[:12]}., two@2") as caught:
        store.find("two")
    assert not isinstance(caught.value, ModelError)
    for text in ("three", "one@2", one.digest[:5], "", "@"):
        with pytest.raises(ModelError) as missing:
            store.find(text)
        assert missing.value.code is ModelCode.MISSING


def test_what_else_lies_there_is_no_model(objects: ObjectStore) -> None:
    for key in ("card.yaml", "a/card.yaml", f"A/1/{'0' * 64}/card.yaml", "a/1/digest/card.yaml", f"a/1/{'0' * 64}/x"):
        objects.put(f"{PREFIX}{key}", b"", "text/plain")
    assert ModelStore(objects).addresses() == []


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("model.onnx", b"short", ModelCode.DIGEST_MISMATCH),
        ("model.onnx", None, ModelCode.MISSING),
        ("card.yaml", None, ModelCode.MISSING),
        ("card.yaml", b"\xff", ModelCode.CARD_INVALID),
        ("card.yaml", b"name: [", ModelCode.CARD_INVALID),
        ("card.yaml", b"#" * (2 * 1024 * 1024), ModelCode.CARD_INVALID),
    ],
)
def test_damage_is_noticed(
    tmp_path: Path, objects: ObjectStore, file: str, content: bytes | None, code: ModelCode
) -> None:
    model = _model(tmp_path)
    store = ModelStore(objects)
    store.add(model)
    key = f"{PREFIX}shapes/1/{model.digest}/{file}"
    if content is None:
        objects.delete(key)
    else:
        objects.put(key, content, "text/plain")
    with pytest.raises(ModelError) as caught:
        store.download(ModelAddress.of(model.card), tmp_path)
    assert caught.value.code is code


def test_a_card_under_another_address_is_noticed(tmp_path: Path, objects: ObjectStore) -> None:
    model = _model(tmp_path)
    store = ModelStore(objects)
    store.add(model)
    card = objects.get(f"{PREFIX}shapes/1/{model.digest}/card.yaml", 10_000)
    forged = address("shapes", "1", "b")
    objects.put(f"{PREFIX}shapes/1/{forged.digest}/card.yaml", card, "text/plain")
    with pytest.raises(ModelError) as caught:
        store.card(forged)
    assert caught.value.code is ModelCode.DIGEST_MISMATCH
    assert model_digest(store.card(ModelAddress.of(model.card))) == model.digest
