"""Ids never change by accident: the literals below are what earlier releases wrote."""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas import identity

AT = datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
CAMERA = "/farms/7/cameras/north"
SHA_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
FRAME = "00000000-0000-8000-8000-000000000000"


def test_sha256_is_the_published_one() -> None:
    assert identity.sha256_hex(b"abc") == SHA_ABC


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (identity.frame_id(CAMERA, "1", AT, SHA_ABC), "d3feb03e-24fe-8522-b931-3bf11c75d2dc"),
        (identity.frame_id(CAMERA, "1", AT, "s3://b/k"), "85525b95-06ae-8969-9d11-65ce31829f38"),
        (identity.frame_id("é☃", "", AT, ""), "256c54f6-aa1f-8934-98e2-41e2c32398c4"),
        (identity.result_id(FRAME, "civic", None, "live"), "fcea502b-ee2d-81ea-9fc6-65aea93b21a2"),
        (identity.result_id(FRAME, "civic", "", "live"), "cee66804-cb1d-8260-9c18-ee91ce0cd172"),
        (identity.result_id(FRAME, "civic", None, "shadow"), "a2591459-b4b1-8fca-a1fe-c573527da761"),
        (
            identity.dead_letter_id("frames.civic", 3, 41, 1_700_000_000_000, b"abc", "decode"),
            "a95b68cd-c2c1-847b-9807-d78c5586184b",
        ),
        (
            identity.dead_letter_id("frames.civic", 3, 41, 1_700_000_000_000, None, "decode"),
            "3fbbf620-0d71-8ba5-a81b-418f87592c30",
        ),
        (
            identity.dead_letter_id("frames.civic", 3, 41, 1_700_000_000_000, b"", "decode"),
            "6f4ec9e2-72e4-89ea-89e8-60d5f2b4879b",
        ),
        (identity.alert_id("offsets-lost", "frames.civic/3", "0-41"), "a6261c6c-83a7-8142-a992-be1f81242c31"),
    ],
)
def test_ids_are_what_they_were(got: str, expected: str) -> None:
    assert got == expected


def test_the_recipe_is_the_documented_one() -> None:
    parts = ["frame", CAMERA, "1", "2024-05-06T07:08:09.000010Z", SHA_ABC]
    hashed = b"".join(b"\x01" + len(part).to_bytes(8, "big") + part.encode() for part in parts)
    expected = int.from_bytes(hashlib.sha256(hashed).digest()[:16], "big")
    free_bits = ~(0xF << 76 | 0x3 << 62)
    assert uuid.UUID(identity.frame_id(CAMERA, "1", AT, SHA_ABC)).int & free_bits == expected & free_bits


def test_ids_are_version_8_uuids() -> None:
    for number in range(200):
        made = uuid.UUID(identity.alert_id("rule", "source", str(number)))
        assert (made.version, made.variant) == (8, uuid.RFC_4122)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (identity.alert_id("ab", "c", "d"), identity.alert_id("a", "bc", "d")),
        (identity.alert_id("a", "", "b"), identity.alert_id("a", "b", "")),
        (identity.alert_id("a\x01", "b", "c"), identity.alert_id("a", "\x01b", "c")),
        (identity.result_id(FRAME, "p", None, "live"), identity.result_id(FRAME, "p", "", "live")),
        (identity.dead_letter_id("t", 0, 0, 0, None, "s"), identity.dead_letter_id("t", 0, 0, 0, b"", "s")),
        (identity.dead_letter_id("t", 1, 11, 0, b"", "s"), identity.dead_letter_id("t", 11, 1, 0, b"", "s")),
        (identity.dead_letter_id("t", 0, 0, 0, b"", "s"), identity.dead_letter_id("t", 0, 0, 0, b"", "r")),
        (identity.dead_letter_id("t", 0, 0, 1, b"", "s"), identity.dead_letter_id("t", 0, 0, 2, b"", "s")),
    ],
)
def test_different_things_have_different_ids(one: str, other: str) -> None:
    assert one != other


def test_kinds_of_ids_stand_apart() -> None:
    assert identity._derive("frame", "a", "b") != identity._derive("alert", "a", "b")


def test_every_part_of_a_frame_counts() -> None:
    base = identity.frame_id("s", "1", AT, "x")
    later = AT + timedelta(microseconds=1)
    others = [("t", "1", AT, "x"), ("s", "2", AT, "x"), ("s", "1", later, "x"), ("s", "1", AT, "y")]
    assert base not in {identity.frame_id(*parts) for parts in others}


def test_the_zone_that_a_time_is_written_in_does_not_count() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert identity.frame_id("s", "1", elsewhere, "x") == identity.frame_id("s", "1", AT, "x")


def test_lone_surrogates_do_not_stop_an_id() -> None:
    assert identity.alert_id("\ud800", "s", "w") != identity.alert_id("?", "s", "w")
