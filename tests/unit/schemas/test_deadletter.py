from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.deadletter import DeadLetter, Failed, dead_letter_message, original_headers, parse_dead_letter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.identity import dead_letter_id
from schemas.message import Message

ORIGIN = Origin("frames.civic", 3, 41)
NOW = datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
ERROR = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "damaged")
ODD_HEADERS: Headers = [
    ("a", b"\xff\x00"), ("a", None), ("a", b""), ("", b"x"), ("ce_id", b"1"), ("ce_id", b"1"), ("dl_attempt", b"9"),
]  # fmt: skip


def wrap(failed: Failed, error: InputError = ERROR, **facts: str) -> Message:
    return dead_letter_message("civic", failed, error, now=NOW, worker="w-1", **facts)


def failed(headers: Headers | None, value: bytes | None = b"x", key: bytes | None = b"k") -> Failed:
    return Failed(key, value, headers, ORIGIN, 1_700_000_000_000)


def test_what_is_written_reads_back() -> None:
    message = wrap(failed(ODD_HEADERS), frame_id="f-1")
    assert message.topic == "deadletters.civic"
    assert parse_dead_letter(message.headers) == DeadLetter(
        dl_id=dead_letter_id("frames.civic", 3, 41, 1_700_000_000_000, b"x", "decode"),
        stage="decode",
        code="picture_corrupt",
        reason="damaged",
        attempt=1,
        origin=ORIGIN,
        time=NOW,
        worker="w-1",
        frame_id="f-1",
    )


def test_the_block_has_the_contract_s_names_in_order() -> None:
    message = wrap(failed([]), frame_id="f", dataref="s3://b/k")
    assert [name for name, _ in message.headers] == [
        "dl_id", "dl_stage", "dl_code", "dl_reason", "dl_attempt", "dl_topic", "dl_partition", "dl_offset", "dl_time",
        "dl_worker", "dl_dataref", "dl_frame_id",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [None, b"", b"\x00\xff", bytes(range(256))])
@pytest.mark.parametrize("key", [None, b"", b"\xff"])
def test_the_original_stays_byte_for_byte(value: bytes | None, key: bytes | None) -> None:
    message = wrap(failed(ODD_HEADERS, value, key))
    assert (message.value, message.key) == (value, key)
    assert original_headers(message.headers) == ODD_HEADERS


HEADERS = st.lists(
    st.tuples(st.sampled_from(["a", "dl_id", "dl_code", "", "ce_id"]) | st.text(), st.none() | st.binary())
)


@given(headers=HEADERS, value=st.none() | st.binary(), key=st.none() | st.binary())
def test_any_original_stays_byte_for_byte(headers: Headers, value: bytes | None, key: bytes | None) -> None:
    before = list(headers)
    message = wrap(failed(headers, value, key))
    assert (message.value, message.key, original_headers(message.headers)) == (value, key, headers)
    assert headers == before
    assert parse_dead_letter(message.headers).origin == ORIGIN


@given(headers=HEADERS)
def test_other_headers_are_no_dead_letter(headers: Headers) -> None:
    with pytest.raises(InputError) as caught:
        parse_dead_letter(headers)
    assert caught.value.code is Code.RECORD_INVALID


def test_a_dead_letter_of_a_dead_letter_gets_a_further_block() -> None:
    first = wrap(failed(ODD_HEADERS))
    again = InputError(Code.ROW_REJECTED, Stage.SINK_POSTGRES, "refused")
    second = wrap(Failed(first.key, first.value, first.headers, Origin("deadletters.civic", 0, 5), 0), again)
    assert parse_dead_letter(second.headers).code == "row_rejected"
    assert parse_dead_letter(second.headers).origin == Origin("deadletters.civic", 0, 5)
    assert original_headers(second.headers) == first.headers
    assert parse_dead_letter(original_headers(second.headers)).code == "picture_corrupt"
    assert original_headers(original_headers(second.headers)) == ODD_HEADERS


def test_headers_that_were_added_on_the_way_belong_to_the_record() -> None:
    message = wrap(failed([("a", b"1")]))
    on_the_way: Headers = [("mirrored", b"\xff"), ("traceparent", None)]
    moved = [*message.headers, *on_the_way]
    assert parse_dead_letter(moved) == parse_dead_letter(message.headers)
    assert original_headers(moved) == [("a", b"1"), *on_the_way]


def test_headers_without_a_block_stay_as_they_are() -> None:
    assert original_headers(ODD_HEADERS) == ODD_HEADERS
    assert original_headers([]) == []


def test_a_value_in_the_object_store_leaves_null() -> None:
    message = wrap(failed([], b"large"), dataref="s3://b/k")
    assert message.value is None
    letter = parse_dead_letter(message.headers)
    assert letter.dataref == "s3://b/k"
    assert letter.dl_id == parse_dead_letter(wrap(failed([], b"large")).headers).dl_id


def test_headers_that_could_not_be_read_are_said_to_be_lost() -> None:
    letter = parse_dead_letter(wrap(failed(None)).headers)
    assert letter.headers_lost
    assert not parse_dead_letter(wrap(failed([])).headers).headers_lost


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("", ""),
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024),
        ("x" * 1023 + "é", "x" * 1023),
        ("x" * 1022 + "é", "x" * 1022 + "é"),
        ("x" * 1021 + "👩", "x" * 1021),
        ("a\ud800b", "a?b"),
    ],
)
def test_reasons_are_cut_between_characters(reason: str, expected: str) -> None:
    message = wrap(failed([]), InputError(Code.PICTURE_CORRUPT, Stage.DECODE, reason))
    assert parse_dead_letter(message.headers).reason == expected


def test_names_from_outside_cannot_stop_a_dead_letter() -> None:
    message = dead_letter_message("civic", failed([]), ERROR, now=NOW, worker="host\udcff", dataref="s3://\ud800")
    assert parse_dead_letter(message.headers).worker == "host?"


@pytest.mark.parametrize(
    ("values", "attempt"),
    [
        ([], 1), ([b"2"], 2), ([b"2", b"3"], 3), ([b"3", None], 1), ([b""], 1), ([b"0"], 1), ([b"-1"], 1),
        ([b"1_0"], 1), ([b" 2"], 1), (["٢".encode()], 1), (["²".encode()], 1), ([b"\xff"], 1),
        ([b"2147483647"], 2**31 - 1), ([b"2147483648"], 1), ([b"9" * 5000], 1),
    ],
)  # fmt: skip
def test_attempts_are_counted_from_what_a_redrive_says(values: list[bytes | None], attempt: int) -> None:
    headers: Headers = [("sightline_attempt", value) for value in values]
    assert parse_dead_letter(wrap(failed(headers)).headers).attempt == attempt


@pytest.mark.parametrize(
    "name",
    [
        "dl_id", "dl_stage", "dl_code", "dl_reason", "dl_attempt", "dl_topic", "dl_partition", "dl_offset", "dl_time",
        "dl_worker",
    ],
)  # fmt: skip
def test_an_incomplete_block_is_no_dead_letter(name: str) -> None:
    headers = [(key, value) for key, value in wrap(failed([])).headers if key != name]
    with pytest.raises(InputError) as caught:
        parse_dead_letter(headers)
    assert caught.value.code is Code.RECORD_INVALID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dl_id", b""), ("dl_id", None), ("dl_stage", b""), ("dl_code", None), ("dl_topic", b""),
        ("dl_reason", b"\xff"), ("dl_attempt", b"1_0"), ("dl_attempt", b"-1"), ("dl_attempt", b"2147483648"),
        ("dl_partition", b" 1"),
        ("dl_partition", "\u0661".encode()), ("dl_offset", b"9223372036854775808"), ("dl_offset", b""),
        ("dl_offset", b"1.0"), ("dl_time", b"yesterday"), ("dl_time", b"2024-01-01T00:00:00"),
    ],
)  # fmt: skip
def test_a_malformed_block_is_no_dead_letter(name: str, value: bytes | None) -> None:
    headers = [(key, value if key == name else kept) for key, kept in wrap(failed([])).headers]
    with pytest.raises(InputError) as caught:
        parse_dead_letter(headers)
    assert caught.value.code is Code.RECORD_INVALID


def test_unknown_codes_and_further_fields_are_read() -> None:
    headers = wrap(failed([])).headers
    changed: Headers = [(name, b"from_tomorrow" if name == "dl_code" else value) for name, value in headers]
    assert parse_dead_letter([*changed, ("dl_new", b"1")]).code == "from_tomorrow"
