"""Frames in binary mode: every oddity that the contract names, with its code or its acceptance."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import frame as frame_module
from schemas import identity
from schemas.encoding import format_time, parse_time
from schemas.errors import Code, InputError, Stage
from schemas.frame import FRAME_TYPE, INLINE_LIMIT_BYTES, Frame, FrameSettings, Origin, frame_headers, parse_frame
from schemas.headers import Headers

ORIGIN = Origin("frames.civic", 3, 41)
APPENDED_MS = 1_700_000_000_000
APPENDED = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
TRACE = f"00-{'4bf92f35' * 4}-{'00f067aa' * 2}-01"


def headers(**changes: str | bytes | None) -> Headers:
    """Return a good frame's headers; a change of None takes one away, `ce_id` stands for itself."""
    texts: dict[str, str | bytes | None] = {
        "ce_specversion": "1.0",
        "ce_type": FRAME_TYPE,
        "ce_id": "1",
        "ce_source": "/farms/7/cameras/north",
        "content-type": "image/jpeg",
    }
    texts.update({name.replace("content_type", "content-type"): text for name, text in changes.items()})
    return [
        (name, text.encode() if isinstance(text, str) else text) for name, text in texts.items() if text is not None
    ]


def parse(value: bytes | None = b"bytes", given_headers: Headers | None = None) -> Frame:
    return parse_frame(value, headers() if given_headers is None else given_headers, ORIGIN, APPENDED_MS)


def refusal(value: bytes | None, given_headers: Headers) -> Code:
    with pytest.raises(InputError) as caught:
        parse(value, given_headers)
    assert caught.value.stage is Stage.FRAME
    assert len(caught.value.reason) < 200
    return caught.value.code


def test_a_full_frame() -> None:
    extensions = {
        "subject": "p-1", "confidence": "0.5", "iou": "0.7", "overlay": "true", "keep": "false",
        "deadline": "2023-11-14T22:13:21Z",
    }  # fmt: skip
    made = frame_headers(event_id="1", source="/c", media_type="image/png", captured_at=APPENDED, extensions=extensions)
    frame = parse(b"abc", [*made, ("traceparent", TRACE.encode())])
    sha256 = identity.sha256_hex(b"abc")
    assert frame == Frame(
        frame_id=identity.frame_id("/c", "1", APPENDED, sha256),
        event_id="1",
        source="/c",
        captured_at=APPENDED,
        origin=ORIGIN,
        value=b"abc",
        sha256=sha256,
        media_type="image/png",
        subject="p-1",
        traceparent=TRACE,
        settings=FrameSettings(0.5, 0.7, overlay=True, keep=False, deadline=APPENDED + timedelta(seconds=1)),
    )


def test_a_frame_with_the_least_that_is_needed() -> None:
    frame = parse(b"abc", headers(content_type=None))
    assert frame.captured_at == APPENDED
    assert frame.settings == FrameSettings()
    assert (frame.media_type, frame.subject, frame.traceparent, frame.dataref) == (None, None, None, None)


# Value and claim check


def test_null_and_empty_values_are_told_apart() -> None:
    assert refusal(None, headers()) is Code.VALUE_NULL
    assert refusal(b"", headers()) is Code.VALUE_EMPTY


@pytest.mark.parametrize("value", [None, b""])
def test_null_and_empty_values_are_legal_with_a_dataref(value: bytes | None) -> None:
    frame = parse(value, headers(ce_dataref="s3://bucket/key"))
    assert (frame.value, frame.sha256, frame.dataref) == (None, None, "s3://bucket/key")
    assert frame.frame_id == identity.frame_id(frame.source, "1", APPENDED, "s3://bucket/key")


def test_a_value_together_with_a_dataref_is_refused() -> None:
    assert refusal(b"x", headers(ce_dataref="s3://bucket/key")) is Code.DATAREF_WITH_VALUE
    assert refusal(b"x", headers(ce_dataref="")) is Code.DATAREF_WITH_VALUE


@pytest.mark.parametrize("dataref", ["", "s3://" + "x" * 1020])
def test_an_empty_or_endless_dataref_is_refused(dataref: str) -> None:
    assert refusal(None, headers(ce_dataref=dataref)) is Code.CLAIM_INVALID


def test_the_inline_limit_is_exact() -> None:
    assert parse(bytes(INLINE_LIMIT_BYTES)).sha256
    assert refusal(bytes(INLINE_LIMIT_BYTES + 1), headers()) is Code.INLINE_TOO_LARGE
    assert INLINE_LIMIT_BYTES == 8 * 1024 * 1024


# Headers


@pytest.mark.parametrize("name", ["ce_specversion", "ce_type", "ce_id", "ce_source"])
def test_required_headers(name: str) -> None:
    assert refusal(b"x", headers(**{name: None})) is Code.HEADER_MISSING
    assert refusal(b"x", headers(**{name: ""})) is Code.HEADER_MISSING
    assert refusal(b"x", [*headers(**{name: None}), (name, None)]) is Code.HEADER_VALUE_INVALID


def test_no_headers_at_all() -> None:
    assert refusal(b"x", []) is Code.HEADER_MISSING


@pytest.mark.parametrize("name", ["ce_id", "ce_time", "ce_keep", "ce_unknown", "content-type"])
def test_repeated_headers_of_ours(name: str) -> None:
    assert refusal(b"x", [*headers(**{name: None}), (name, b"1"), (name, b"1")]) is Code.HEADER_REPEATED


def test_other_headers_are_left_alone() -> None:
    odd: Headers = [("x", b"1"), ("x", b"2"), ("", None), ("binary", b"\xff\x00"), ("CE_id", b"9"), ("ceid", None)]
    assert parse(b"x", [*odd, *headers(), *odd]).frame_id == parse(b"x").frame_id


@pytest.mark.parametrize("version", ["0.3", "1", "1.0.0", "1.1", " 1.0", "2.0", "\uff11.0"])
def test_unknown_spec_versions(version: str) -> None:
    assert refusal(b"x", headers(ce_specversion=version)) is Code.SPECVERSION_UNKNOWN


@pytest.mark.parametrize("event_type", ["sightline.frame.v2", "SIGHTLINE.FRAME.V1", "com.example.frame", " "])
def test_unknown_types(event_type: str) -> None:
    assert refusal(b"x", headers(ce_type=event_type)) is Code.TYPE_UNKNOWN


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_subject", "content_type"])
def test_attributes_have_a_greatest_length(name: str) -> None:
    assert parse(b"x", headers(**{name: "x" * 1024})).frame_id
    assert refusal(b"x", headers(**{name: "x" * 1025})) is Code.HEADER_VALUE_INVALID


@pytest.mark.parametrize("value", [b"\xff", b"a\x00b", b"a\n", b"\xed\xa0\x80"])
@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_subject", "ce_time", "ce_unknown", "content_type"])
def test_values_that_are_no_text(name: str, value: bytes) -> None:
    assert refusal(b"x", headers(**{name: value})) is Code.HEADER_VALUE_INVALID


def test_text_in_any_script_is_kept() -> None:
    frame = parse(b"x", headers(ce_source="/höfe/7/北\u00a0", ce_subject="п-1"))
    assert (frame.source, frame.subject) == ("/höfe/7/北\u00a0", "п-1")


def test_an_empty_subject_is_none() -> None:
    assert parse(b"x", headers(ce_subject="")).subject is None


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/JPEG", "image/jpeg"), ("image/jpeg; q=1", "image/jpeg"), (" Image/Png ;x", "image/png"), ("", None),
        (";", None), ("application/octet-stream", "application/octet-stream"),
    ],
)  # fmt: skip
def test_content_types_lose_case_and_parameters(content_type: str, expected: str | None) -> None:
    assert parse(b"x", headers(content_type=content_type)).media_type == expected


# Times


@pytest.mark.parametrize(
    "text",
    [
        "", "garbage", "2023-11-14T22:13:20", "2023-02-30T00:00:00Z", "2016-12-31T23:59:60Z", "1700000000",
        "\u0662\u0660\u0662\u0663-01-01T00:00:00Z",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["ce_time", "ce_deadline"])
def test_times_that_cannot_be_parsed(name: str, text: str) -> None:
    assert refusal(b"x", headers(**{name: text})) is Code.TIME_INVALID


def test_future_is_what_lies_after_the_append_time_by_more_than_is_allowed() -> None:
    edge = APPENDED + frame_module.FUTURE_TOLERANCE
    assert parse(b"x", headers(ce_time=format_time(edge))).captured_at == edge
    late = format_time(edge + timedelta(microseconds=1))
    assert refusal(b"x", headers(ce_time=late)) is Code.TIME_IN_FUTURE
    assert refusal(b"x", headers(ce_time="9999-12-31T23:59:59Z")) is Code.TIME_IN_FUTURE


def test_the_past_and_a_far_deadline_are_fine() -> None:
    frame = parse(b"x", headers(ce_time="0001-01-01T00:00:00Z", ce_deadline="9999-12-31T23:59:59Z"))
    assert frame.captured_at == parse_time("0001-01-01T00:00:00Z")
    assert frame.settings.deadline == parse_time("9999-12-31T23:59:59Z")


@pytest.mark.parametrize("timestamp_ms", [-(2**63), -1, 0, 253_402_300_799_999, 2**63 - 1])
def test_any_timestamp_of_a_record_is_read(timestamp_ms: int) -> None:
    assert parse_frame(b"x", headers(), ORIGIN, timestamp_ms).captured_at.tzinfo is UTC


def test_the_same_event_is_the_same_frame_wherever_it_stands() -> None:
    sent = headers(ce_time="2023-11-14T22:13:20.123456789+01:00")
    one = parse_frame(b"x", sent, ORIGIN, APPENDED_MS)
    other = parse_frame(b"x", sent, Origin("frames.civic", 0, 9), APPENDED_MS + 5000)
    assert one.frame_id == other.frame_id
    assert parse_frame(b"y", sent, ORIGIN, APPENDED_MS).frame_id != one.frame_id


def test_the_subject_and_settings_do_not_count_for_the_id() -> None:
    assert parse(b"x", headers(ce_subject="p", ce_keep="true")).frame_id == parse(b"x").frame_id


# Settings


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0.0), ("0.0", 0.0), ("1", 1.0), ("1.0", 1.0), ("1.", 1.0), (".25", 0.25), ("2.5e-1", 0.25), ("1E-3", 0.001)],
)
@pytest.mark.parametrize("name", ["confidence", "iou"])
def test_shares_within_bounds(name: str, text: str, number: float) -> None:
    assert getattr(parse(b"x", headers(**{f"ce_{name}": text})).settings, name) == number


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "nan", "NaN", "inf", "-inf", "infinity", "-0.1", "-0", "+0.5", "1.0001", "2", "1e9", "1e999", "0_1",
        " 0.5", "0.5 ", "0,5", "\u0660.\u0665", "0x1", "true", "1/2", ".", "e-1", "0." + "1" * 5000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["ce_confidence", "ce_iou"])
def test_shares_that_are_refused(name: str, text: str) -> None:
    assert refusal(b"x", headers(**{name: text})) is Code.SETTING_INVALID


@pytest.mark.parametrize("text", ["", "True", "TRUE", "1", "0", "yes", "on", " true", "truе"])  # noqa: RUF001  # a Cyrillic letter
@pytest.mark.parametrize("name", ["ce_overlay", "ce_keep"])
def test_booleans_that_are_refused(name: str, text: str) -> None:
    assert refusal(b"x", headers(**{name: text})) is Code.SETTING_INVALID


# Traces


@pytest.mark.parametrize(
    "text",
    [
        "", "x", TRACE.upper(), TRACE + " ", TRACE[:-1], "ff" + TRACE[2:], f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01", TRACE.replace("0", "\u0660", 1),
    ],
)  # fmt: skip
def test_a_trace_that_is_none_is_ignored(text: str) -> None:
    assert parse(b"x", [*headers(), ("traceparent", text.encode())]).traceparent is None


def test_a_trace_may_be_repeated_null_or_binary() -> None:
    assert parse(b"x", [("traceparent", b"x"), *headers(), ("traceparent", TRACE.encode())]).traceparent == TRACE
    assert parse(b"x", [*headers(), ("traceparent", None)]).traceparent is None
    assert parse(b"x", [*headers(), ("traceparent", b"\xff")]).traceparent is None


def test_the_trace_extension_of_cloudevents_is_read_too() -> None:
    assert parse(b"x", headers(ce_traceparent=TRACE)).traceparent == TRACE


# Whatever else arrives

NAMES = st.sampled_from([
    "ce_specversion", "ce_type", "ce_id", "ce_source", "ce_time", "ce_dataref", "ce_subject", "ce_confidence",
    "ce_iou", "ce_overlay", "ce_keep", "ce_deadline", "content-type", "traceparent", "ce_traceparent", "ce_", "",
])  # fmt: skip
VALUES = st.one_of(
    st.none(), st.binary(max_size=40), st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"1.0", FRAME_TYPE.encode(), b"application/cloudevents+json", b"true", b"0.5"]),
    st.datetimes().map(lambda moment: moment.isoformat().encode() + b"Z"),
)  # fmt: skip


@given(
    value=st.one_of(st.none(), st.binary(max_size=100)),
    good=st.booleans(),
    others=st.lists(st.tuples(st.one_of(NAMES, st.text(max_size=10)), VALUES), max_size=8),
    timestamp_ms=st.integers(-(2**63), 2**63 - 1),
)
def test_anything_is_a_frame_or_an_input_error(
    value: bytes | None, good: bool, others: Headers, timestamp_ms: int  # noqa: FBT001  # hypothesis draws it
) -> None:  # fmt: skip
    names = {name for name, _ in others}
    kept = [pair for pair in headers() if pair[0] not in names] if good else []
    try:
        frame = parse_frame(value, [*kept, *others], ORIGIN, timestamp_ms)
    except InputError as error:
        assert error.stage is Stage.FRAME  # noqa: PT017  # either outcome is fine
        error.reason.encode()
    else:
        assert (frame.value is None) != (frame.dataref is None)
        for text in (frame.event_id, frame.source, frame.subject or "", frame.dataref or "", frame.traceparent or ""):
            text.encode()
