"""Frames in structured mode, as many CloudEvents libraries send them."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Code, InputError, Stage
from schemas.frame import ENVELOPE_LIMIT_BYTES, FRAME_TYPE, INLINE_LIMIT_BYTES, Frame, Origin, parse_frame
from schemas.headers import Headers

ORIGIN = Origin("frames.civic", 0, 0)
APPENDED_MS = 1_700_000_000_000
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
TRACE = f"00-{'4bf92f35' * 4}-{'00f067aa' * 2}-01"
BASE: dict[str, Any] = {
    "specversion": "1.0", "type": FRAME_TYPE, "id": "1", "source": "/c", "time": "2023-11-14T22:13:20Z",
    "datacontenttype": "image/PNG;x=1", "data_base64": base64.b64encode(b"abc").decode(),
}  # fmt: skip


def parse(envelope: Any, headers: Headers | None = None) -> Frame:
    value = envelope if isinstance(envelope, bytes) or envelope is None else json.dumps(envelope).encode()
    return parse_frame(value, STRUCTURED if headers is None else headers, ORIGIN, APPENDED_MS)


def refusal(envelope: Any) -> Code:
    with pytest.raises(InputError) as caught:
        parse(envelope)
    assert caught.value.stage is Stage.FRAME
    caught.value.reason.encode()
    assert len(caught.value.reason) < 200
    return caught.value.code


def binary(extra: Headers) -> Frame:
    headers: Headers = [
        ("ce_specversion", b"1.0"), ("ce_type", FRAME_TYPE.encode()), ("ce_id", b"1"), ("ce_source", b"/c"),
        ("ce_time", b"2023-11-14T22:13:20Z"), ("content-type", b"image/png"),
    ]  # fmt: skip
    return parse_frame(b"abc", headers + extra, ORIGIN, APPENDED_MS)


def test_both_modes_give_the_same_frame() -> None:
    assert parse(BASE) == binary([])
    native = BASE | {"confidence": 0.25, "iou": 1, "overlay": True, "keep": False, "subject": "p", "traceparent": TRACE}
    as_text = BASE | {
        "confidence": "0.25", "iou": "1", "overlay": "true", "keep": "false", "subject": "p", "traceparent": TRACE,
    }  # fmt: skip
    headers: Headers = [
        ("ce_confidence", b"0.25"), ("ce_iou", b"1"), ("ce_overlay", b"true"), ("ce_keep", b"false"),
        ("ce_subject", b"p"), ("traceparent", TRACE.encode()),
    ]  # fmt: skip
    assert parse(native) == parse(as_text) == binary(headers)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "APPLICATION/CloudEvents+JSON;charset=utf-8",
        " application/cloudevents+json ",
    ],
)
def test_the_mode_is_told_by_the_content_type(content_type: str) -> None:
    assert parse(BASE, [("content-type", content_type.encode())]).value == b"abc"


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/cloudevents-batch+json", "application/cloudevents"]
)
def test_other_content_types_are_binary_mode(content_type: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(BASE, [("content-type", content_type.encode())])
    assert caught.value.code is Code.HEADER_MISSING


def test_headers_beside_the_envelope_do_not_count_but_a_trace_does() -> None:
    beside: Headers = [*STRUCTURED, ("ce_id", b"other"), ("ce_keep", b"true"), ("traceparent", TRACE.encode())]
    frame = parse(BASE, beside)
    assert (frame.event_id, frame.settings.keep, frame.traceparent) == ("1", None, TRACE)


def test_a_byte_order_mark_and_blanks_are_fine() -> None:
    assert parse(b"\xef\xbb\xbf \n" + json.dumps(BASE).encode() + b"\n").value == b"abc"


def test_claims_and_empty_values() -> None:
    without = {name: content for name, content in BASE.items() if name != "data_base64"}
    claim = {"dataref": "s3://b/k"}
    assert parse(without | claim).dataref == "s3://b/k"
    assert parse(without | claim | {"data_base64": None}).dataref == "s3://b/k"
    assert parse(without | claim | {"data_base64": ""}).dataref == "s3://b/k"
    assert refusal(BASE | claim) is Code.DATAREF_WITH_VALUE
    assert refusal(without) is Code.VALUE_NULL
    assert refusal(without | {"data_base64": ""}) is Code.VALUE_EMPTY
    assert refusal(without | {"dataref": ""}) is Code.CLAIM_INVALID


def test_null_and_empty_records_are_told_apart() -> None:
    assert refusal(None) is Code.VALUE_NULL
    assert refusal(b"") is Code.VALUE_EMPTY


@pytest.mark.parametrize(
    "value",
    [
        b"{", b"not json", b"\xff", b"[]", b'"text"', b"null", b"1", b" ", b"[" * 100_000, b'{"a":' * 100_000,
        json.dumps(BASE).encode("utf-16"), b'{"id": NaN}', b'{"id": -Infinity}', b'{"id": "\xed\xa0\x80"}',
        b'{"x": ' + b"9" * 5000 + b"}", b"{} {}",
    ],
    ids=lambda value: repr(value[:20]),
)  # fmt: skip
def test_values_that_are_no_envelope(value: bytes) -> None:
    assert refusal(value) is Code.ENVELOPE_INVALID


@pytest.mark.parametrize(
    "encoded", ["*", "YQ", "YQ=", "YQ==YQ==", "Y Q=", "YQ==\n", "é", "\ud800", "YQ-_", 7, True, [], {}, 0.5]
)
def test_data_that_is_not_base64(encoded: Any) -> None:
    assert refusal(BASE | {"data_base64": encoded}) is Code.ENVELOPE_INVALID


@pytest.mark.parametrize("data", ["text", {"a": 1}, 0, False, ""])
def test_a_data_member_is_refused_and_a_null_one_is_absent(data: Any) -> None:
    assert refusal(BASE | {"data": data}) is Code.ENVELOPE_INVALID
    assert parse(BASE | {"data": None}).value == b"abc"


def test_repeated_members_are_refused() -> None:
    text = json.dumps(BASE)
    assert refusal(text.replace("{", '{"id": "2", ', 1).encode()) is Code.HEADER_REPEATED
    assert refusal(text.replace("{", '{"keep": null, "keep": true, ', 1).encode()) is Code.HEADER_REPEATED


@pytest.mark.parametrize("name", ["specversion", "type", "id", "source"])
def test_required_members(name: str) -> None:
    for change in ({name: None}, {name: ""}):
        assert refusal(BASE | change) is Code.HEADER_MISSING


@pytest.mark.parametrize(
    "name", ["specversion", "type", "id", "source", "subject", "time", "datacontenttype", "dataref"]
)
@pytest.mark.parametrize("content", [1.0, 1, True, [], {}, ["x"], "a\x00", "\ud800", "a\n", "\ufffe"])
def test_members_that_are_no_text(name: str, content: Any) -> None:
    assert refusal(BASE | {name: content}) is Code.HEADER_VALUE_INVALID


@pytest.mark.parametrize("content", [[], {}, "a\x00", "\udfff"])
def test_extensions_that_are_neither_text_nor_number_nor_boolean(content: Any) -> None:
    assert refusal(BASE | {"custom\ud800\n": content}) is Code.HEADER_VALUE_INVALID


@pytest.mark.parametrize("content", [2, -0.5, 1e300, True, "nan"])
def test_settings_are_bounded_as_in_binary_mode(content: Any) -> None:
    assert refusal(BASE | {"confidence": content}) is Code.SETTING_INVALID


@pytest.mark.parametrize("content", [1, 0, 0.5, "yes"])
def test_booleans_are_as_in_binary_mode(content: Any) -> None:
    assert refusal(BASE | {"keep": content}) is Code.SETTING_INVALID


def test_infinite_numbers_are_refused() -> None:
    assert refusal(json.dumps(BASE).replace("{", '{"iou": 1e999, ', 1).encode()) is Code.SETTING_INVALID


def test_unknown_versions_and_times() -> None:
    assert refusal(BASE | {"specversion": "0.3"}) is Code.SPECVERSION_UNKNOWN
    assert refusal(BASE | {"type": "sightline.frame.v2"}) is Code.TYPE_UNKNOWN
    assert refusal(BASE | {"time": "yesterday"}) is Code.TIME_INVALID
    assert refusal(BASE | {"time": "2023-11-15T22:13:20Z"}) is Code.TIME_IN_FUTURE


def test_a_picture_at_the_inline_limit_fits_in_an_envelope() -> None:
    encoded = base64.b64encode(bytes(INLINE_LIMIT_BYTES)).decode()
    assert len(parse(BASE | {"data_base64": encoded}).value or b"") == INLINE_LIMIT_BYTES
    over = base64.b64encode(bytes(INLINE_LIMIT_BYTES + 1)).decode()
    assert refusal(BASE | {"data_base64": over}) is Code.INLINE_TOO_LARGE
    assert refusal(b" " * (ENVELOPE_LIMIT_BYTES + 1)) is Code.INLINE_TOO_LARGE


CONTENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
MEMBERS = st.one_of(st.sampled_from([*BASE, "data", "dataref", "confidence", "keep", "deadline"]), st.text(max_size=8))


@given(changes=st.dictionaries(MEMBERS, CONTENTS, max_size=6))
def test_any_envelope_is_a_frame_or_an_input_error(changes: dict[str, Any]) -> None:
    try:
        frame = parse(BASE | changes)
    except InputError as error:
        error.reason.encode()
    else:
        frame.source.encode()


@given(value=st.binary(max_size=200))
def test_any_bytes_are_an_input_error(value: bytes) -> None:
    with pytest.raises(InputError):
        parse(value)
