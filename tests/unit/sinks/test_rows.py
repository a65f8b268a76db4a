from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sinks.postgres import rows
from sinks.postgres.columns import parse_columns
from sinks.postgres.copytext import NULL, array, text
from sinks.postgres.partitions import months
from tests.unit.sinks.samples import make_result


@given(st.text())
def test_no_text_can_end_its_column_or_row(value: str) -> None:
    written = text(value)
    assert not {"\t", "\n", "\r"} & set(written)
    assert written != NULL
    plain = {"\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\r": "\r"}
    read, position = "", 0
    while position < len(written):
        pair = written[position : position + 2]
        read += plain.get(pair, written[position])
        position += 2 if pair in plain else 1
    assert read == value


def test_null_is_not_the_text_of_null() -> None:
    assert (text(None), text(NULL), text("")) == ("\\N", "\\\\N", "")


def test_an_array_quotes_what_has_a_meaning() -> None:
    assert array([]) == "{}"
    assert array(['a"b', "c\\d", "e,f", "NULL", ""]) == '{"a\\"b","c\\\\d","e,f","NULL",""}'


def test_rows_have_as_many_columns_as_are_named() -> None:
    for result in (make_result(), make_result(image=None, models=None, origin=None, classification=None, quality=None)):
        body = result.to_json()
        parsed = parse_columns(body)
        assert rows.result_row(parsed, body).count("\t") + 1 == len(rows.RESULT_COLUMNS)
        for lines, columns in (
            (rows.check_rows(parsed), rows.CHECK_COLUMNS),
            (rows.detection_rows(parsed), rows.DETECTION_COLUMNS),
            (rows.artifact_rows(parsed), rows.ARTIFACT_COLUMNS),
        ):
            assert all(line.count("\t") + 1 == len(columns) for line in lines.splitlines())


def test_a_result_without_children_has_no_lines_of_them() -> None:
    parsed = parse_columns(make_result(quality=None, detections=[], artifacts=None).to_json())
    assert (rows.check_rows(parsed), rows.detection_rows(parsed), rows.artifact_rows(parsed)) == ("", "", "")


def test_event_keys_keep_source_and_id_apart() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")]
    keys = {rows.event_key(parse_columns(make_result(source=a, event_id=b).to_json())) for a, b in pairs}
    assert len(keys) == len(pairs)
    assert rows.event_key(parse_columns(make_result().model_copy(update={"event_id": None}).to_json())) is None


def test_months_ahead_cross_the_year() -> None:
    found = [f"{first:%Y-%m}/{end:%Y-%m}" for first, end in months(datetime(2026, 11, 30, 23, tzinfo=UTC))]
    assert found == ["2026-11/2026-12", "2026-12/2027-01", "2027-01/2027-02", "2027-02/2027-03"]
