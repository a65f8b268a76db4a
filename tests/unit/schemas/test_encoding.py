import contextlib
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.encoding import canonical_json, format_time, from_timestamp_ms, parse_time, to_utc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000000Z"),
        ("2024-02-29t23:59:59z", "2024-02-29T23:59:59.000000Z"),
        ("2024-02-29 23:59:59+00:00", "2024-02-29T23:59:59.000000Z"),
        ("2024-01-01T00:00:00-00:00", "2024-01-01T00:00:00.000000Z"),
        ("2024-01-01T00:00:00+05:45", "2023-12-31T18:15:00.000000Z"),
        ("2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.500000Z"),
        ("2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00.123456Z"),
        ("2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00.123456Z"),
        ("2024-01-01T00:00:00.999999999Z", "2024-01-01T00:00:00.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("0987-06-05T04:03:02Z", "0987-06-05T04:03:02.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_that_are_read(text: str, expected: str) -> None:
    moment = parse_time(text)
    assert moment.tzinfo is UTC
    assert format_time(moment) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "now", "1700000000", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01T00:00Z",
        "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2016-12-31T23:59:60Z",
        "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+05:99", "2024-01-01T00:00:00+0545",
        "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00Z\n",
        " 2024-01-01T00:00:00Z", "20240101T000000Z", "+2024-01-01T00:00:00Z", "12024-01-01T00:00:00Z",
        "2024-W01-1T00:00:00Z", "٢٠٢٤-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01", "2024-01-01T00:00:00 Z", "2024-01-01T00:00:00UTC",
    ],
)  # fmt: skip
def test_times_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


@given(st.text())
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_time(text).tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)))
def test_written_times_read_back_and_sort_as_text(moment: datetime) -> None:
    text = format_time(moment)
    assert parse_time(text) == moment
    assert len(text) == 27
    later = min(moment, datetime(9999, 12, 30, tzinfo=UTC)) + timedelta(microseconds=1)
    assert (format_time(later) > text) == (later > moment)


def test_times_without_a_zone_are_refused() -> None:
    naive = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    for function in (format_time, to_utc):
        with pytest.raises(ValueError, match="zone"):
            function(naive)


def test_times_that_utc_takes_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        format_time(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))


@pytest.mark.parametrize(
    ("timestamp_ms", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.001000Z"),
        (-1, "1969-12-31T23:59:59.999000Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999000Z"),
        (253_402_300_800_000, "9999-12-31T23:59:59.999999Z"),
        (2**63 - 1, "9999-12-31T23:59:59.999999Z"),
        (-(2**63), "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_timestamps_of_records(timestamp_ms: int, expected: str) -> None:
    assert format_time(from_timestamp_ms(timestamp_ms)) == expected


def test_canonical_json_does_not_depend_on_order_and_keeps_letters() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'.encode()
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800"])
def test_canonical_json_refuses_what_json_cannot_hold(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_json({"a": [value]})
