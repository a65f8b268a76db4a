"""Claim checks: only allowed addresses, within limits."""

from pathlib import Path

import pytest

from schemas.errors import Code, InputError, OutageError, Stage, UnclearError
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import S3Settings, load_settings
from streams.claims import Claims, open_claims


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    for name, data in (("a.jpg", b"12345"), ("empty.jpg", b""), ("deep/b.jpg", b"1")):
        open_store(f"file://{tmp_path}/claims", S3Settings()).put(name, data, "image/jpeg")
    return open_claims(load_settings({"SIGHTLINE_OBJECTS_URL": f"file://{tmp_path}"}))


def test_an_object_under_an_allowed_prefix_is_fetched(claims: Claims, tmp_path: Path) -> None:
    assert claims.fetch(f"file://{tmp_path}/claims/a.jpg", 5) == b"12345"
    assert claims.fetch(f"file://{tmp_path}/claims/deep/b.jpg", 5) == b"1"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("file://{}/claims/none.jpg", Code.CLAIM_NOT_FOUND),
        ("file://{}/claims/empty.jpg", Code.VALUE_EMPTY),
        ("file://{}/elsewhere/a.jpg", Code.CLAIM_NOT_ALLOWED),
        ("file://{}/claims/../secret", Code.CLAIM_INVALID),
        ("file://{}/claims//a.jpg", Code.CLAIM_INVALID),
        ("file://{}/claims/", Code.CLAIM_INVALID),
        ("file://{}/claimsx/a.jpg", Code.CLAIM_NOT_ALLOWED),
        ("file:///etc/passwd", Code.CLAIM_NOT_ALLOWED),
        ("s3://bucket/key", Code.CLAIM_NOT_ALLOWED),
        ("s3://bucket", Code.CLAIM_NOT_ALLOWED),
        ("http://127.0.0.1/a.jpg", Code.CLAIM_INVALID),
        ("a.jpg", Code.CLAIM_INVALID),
        ("file://{}/claims/" + "x" * 300, Code.CLAIM_INVALID),
    ],
)
def test_an_address_that_cannot_be_had(claims: Claims, tmp_path: Path, address: str, code: Code) -> None:
    with pytest.raises(InputError) as caught:
        claims.fetch(address.format(tmp_path), 5)
    assert (caught.value.code, caught.value.stage) == (code, Stage.CLAIM)


def test_an_object_over_the_limit_is_refused(claims: Claims, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        claims.fetch(f"file://{tmp_path}/claims/a.jpg", 4)
    assert caught.value.code is Code.CLAIM_TOO_LARGE


def test_nothing_is_allowed_without_a_store() -> None:
    with pytest.raises(InputError) as caught:
        open_claims(load_settings({})).fetch("s3://bucket/key", 5)
    assert caught.value.code is Code.CLAIM_NOT_ALLOWED


class _Failing:
    """A store whose reads fail as told; nothing else of it is used."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.reads = 0

    def get(self, key: str, max_bytes: int) -> bytes:
        del key, max_bytes
        self.reads += 1
        raise self.error


def test_an_outage_passes_through() -> None:
    store = _Failing(OutageError("objects", "away"))
    with pytest.raises(OutageError):
        Claims({"s3://b/": store}).fetch("s3://b/k", 5)  # type: ignore[dict-item]
    assert store.reads == 1


def test_what_is_unclear_is_tried_a_few_times_then_leaves() -> None:
    store = _Failing(UnclearError("?"))
    with pytest.raises(InputError) as caught:
        Claims({"s3://b/": store}).fetch("s3://b/k", 5)  # type: ignore[dict-item]
    assert caught.value.code is Code.CLAIM_UNREADABLE
    assert store.reads == 3
