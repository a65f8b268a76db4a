import sys

import pytest

from schemas.errors import Code, InputError
from schemas.headers import Headers, is_clean, last_text, last_value, single_values


def test_only_ours_are_read() -> None:
    headers: Headers = [("ce_id", b"1"), ("x", b"\xff"), ("x", None), ("content-type", b"a/b"), ("CE_ID", b"2")]
    assert single_values(headers) == {"ce_id": "1", "content-type": "a/b"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null"), (b"\xff", "UTF-8"), (b"\xed\xa0\x80", "UTF-8"), (b"a\x00", "control"), (b"a\nb", "control"),
        (b"\x7f", "control"), ("\x85".encode(), "control"), ("\ufffe".encode(), "control"),
        ("\U0010ffff".encode(), "control"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["ce_id", "content-type", "ce_anything"])
def test_values_that_are_no_text(name: str, value: bytes | None, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        single_values([(name, value)])
    assert caught.value.code is Code.HEADER_VALUE_INVALID
    assert name in caught.value.reason
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "é", "☃", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH JOINER}", "👩‍🌾", "\ue000"]
)
def test_text_that_people_write_is_clean(text: str) -> None:
    assert is_clean(text)
    assert single_values([("ce_subject", text.encode())]) == {"ce_subject": text}


def test_clean_characters_are_those_that_cloudevents_allows() -> None:
    def allowed(point: int) -> bool:
        control = point < 0x20 or 0x7F <= point < 0xA0
        surrogate = 0xD800 <= point < 0xE000
        noncharacter = 0xFDD0 <= point < 0xFDF0 or point & 0xFFFE == 0xFFFE
        return not (control or surrogate or noncharacter)

    wrong = [point for point in range(sys.maxunicode + 1) if is_clean(chr(point)) != allowed(point)]
    assert wrong == []


def test_a_repeated_header_is_refused_even_with_the_same_value() -> None:
    with pytest.raises(InputError) as caught:
        single_values([("ce_id", b"1"), ("ce_id", b"1"), ("content-type", b"a"), ("content-type", None)])
    assert caught.value.code is Code.HEADER_REPEATED
    assert "ce_id, content-type" in caught.value.reason


def test_names_in_reasons_are_cut_and_escaped() -> None:
    name = "ce_\n\u2028" + "x" * 500
    with pytest.raises(InputError) as caught:
        single_values([(name, None)])
    assert len(caught.value.reason) < 100
    assert caught.value.reason.isascii()
    assert caught.value.reason.isprintable()


def test_the_last_of_several_counts() -> None:
    headers: Headers = [("a", b"1"), ("b", b"\xff"), ("a", b"2"), ("n", b"1"), ("n", None), ("e", b"")]
    assert last_value(headers, "a") == b"2"
    assert last_value(headers, "n") is None
    assert last_value(headers, "e") == b""
    assert last_value(headers, "missing") is None
    assert last_text(headers, "b") == "\ufffd"
    assert last_text(headers, "missing") is None
