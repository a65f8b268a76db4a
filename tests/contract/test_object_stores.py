"""One suite against every object store: a folder, and a real S3."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.errors import Code, InputError, OutageError, SetupError, UnclearError
from sightline.runtime.objectstore import ObjectNotFoundError, ObjectStore, ObjectTooLargeError, open_store
from sightline.runtime.settings import S3Settings
from tests.services import S3

_numbers = itertools.count()


def s3_settings(s3: S3, **changes: str) -> S3Settings:
    given = {"endpoint_url": s3.endpoint_url, "access_key_id": s3.access_key, "secret_access_key": s3.secret_key}
    return S3Settings.model_validate({**given, **changes})


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.services)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(f"file://{tmp_path}/objects", S3Settings())
    s3: S3 = request.getfixturevalue("s3")
    return open_store(f"s3://{s3.bucket}/contract/{next(_numbers)}", s3_settings(s3))


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 1000, os.urandom(12 * 1024 * 1024)])
def test_what_was_put_can_be_got(store: ObjectStore, data: bytes) -> None:
    store.put("a/b/c.png", data, "image/png")
    assert store.get("a/b/c.png", max_bytes=len(data)) == data
    info = store.stat("a/b/c.png")
    assert info is not None
    assert (info.key, info.size_bytes) == ("a/b/c.png", len(data))


def test_putting_again_replaces(store: ObjectStore) -> None:
    store.put("k", b"one", "text/plain")
    store.put("k", b"two", "text/plain")
    assert store.get("k", max_bytes=3) == b"two"
    assert [info.key for info in store.list()] == ["k"]


def test_what_is_not_there(store: ObjectStore) -> None:
    store.put("there", b"1", "text/plain")
    assert store.stat("absent") is None
    with pytest.raises(ObjectNotFoundError):
        store.get("absent", max_bytes=1)
    store.delete("absent")


def test_deleting(store: ObjectStore) -> None:
    store.put("k", b"1", "text/plain")
    store.delete("k")
    assert store.stat("k") is None
    assert list(store.list()) == []


def test_a_limit_holds(store: ObjectStore) -> None:
    store.put("k", b"12345", "text/plain")
    assert store.get("k", max_bytes=5) == b"12345"
    with pytest.raises(ObjectTooLargeError):
        store.get("k", max_bytes=4)


def test_listing_by_prefix(store: ObjectStore) -> None:
    keys = ["a/1", "a/2", "ab/3", "b/4"]
    for key in keys:
        store.put(key, key.encode(), "text/plain")
    assert sorted(info.key for info in store.list()) == keys
    assert sorted(info.key for info in store.list("a/")) == ["a/1", "a/2"]


@pytest.mark.parametrize("key", ["", "/k", "k/", "a//b", "../k", "a/../../k", "./k", "a\x00b", "a\nb", "k" * 1025])
def test_names_that_are_refused(store: ObjectStore, key: str) -> None:
    for call in (lambda: store.put(key, b"x", "text/plain"), lambda: store.get(key, 1), lambda: store.stat(key)):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code is Code.OBJECT_REJECTED


@pytest.mark.parametrize("key", ["e" * 300, "é" * 200])
def test_a_part_that_the_store_cannot_hold_does_not_wait(store: ObjectStore, key: str) -> None:
    with pytest.raises((InputError, UnclearError)):
        store.put(key, b"x", "text/plain")


def test_names_of_other_scripts(store: ObjectStore) -> None:
    store.put("höfe/カメラ 1/b+c&d=e?f#g.png", b"1", "image/png")
    assert store.get("höfe/カメラ 1/b+c&d=e?f#g.png", max_bytes=1) == b"1"
    assert [info.key for info in store.list()] == ["höfe/カメラ 1/b+c&d=e?f#g.png"]


def test_the_address_names_the_object(store: ObjectStore) -> None:
    address = store.address("a/b")
    assert address.startswith(("file:///", "s3://"))
    assert address.endswith("/a/b")


def test_a_folder_leaves_no_half_written_file(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}", S3Settings())
    store.put("a/b", b"1", "text/plain")
    with pytest.raises(InputError):
        store.put("a/b/c", b"2", "text/plain")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]


@pytest.fixture
def broken(s3: S3) -> Iterator[Callable[..., ObjectStore]]:
    def make(bucket: str = s3.bucket, **changes: str) -> ObjectStore:
        return open_store(f"s3://{bucket}/contract", s3_settings(s3, **changes), timeout_s=3)

    yield make
    s3.start()


@pytest.mark.parametrize(
    "changes", [{"bucket": "absent-bucket"}, {"secret_access_key": "wrong"}, {"access_key_id": "nobody"}]
)
def test_no_bucket_and_wrong_keys_are_our_setup(broken: Callable[..., ObjectStore], changes: dict[str, str]) -> None:
    store = broken(**changes)
    for call in (lambda: store.put("k", b"x", "text/plain"), lambda: store.get("k", 1), lambda: store.stat("k")):
        with pytest.raises(SetupError):
            call()


def test_a_stopped_server_is_an_outage_and_comes_back(s3: S3, broken: Callable[..., ObjectStore]) -> None:
    store = broken()
    store.put("k", b"x", "text/plain")
    s3.stop()
    for call in (lambda: store.put("k", b"y", "text/plain"), lambda: store.get("k", 1), lambda: store.stat("k")):
        with pytest.raises(OutageError) as caught:
            call()
        assert not isinstance(caught.value, SetupError)
    s3.start()
    assert store.get("k", max_bytes=1) == b"x"


@pytest.mark.parametrize("media_type", ["image/png\r\nX-Other: 1", "im\u0100ge/png"])
def test_a_media_type_that_is_no_header_is_the_objects_fault(
    broken: Callable[..., ObjectStore], media_type: str
) -> None:
    with pytest.raises(InputError) as caught:
        broken().put("k", b"x", media_type)
    assert caught.value.code is Code.OBJECT_REJECTED
