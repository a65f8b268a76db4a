from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.frame import frame_headers
from sinks.postgres.replay_frames import FrameFilter
from streams.read import TopicRecord
from streams.replay.selection import Selection, first_problem, parse_scores, parse_window
from streams.replay.windows import Marks, Places, fix_windows
from tests.unit.streams.replay.samples import APPENDED_MS, NOW, topic_record

HOUR = timedelta(hours=1)


def selection(**fields: Any) -> Selection:
    return Selection.model_validate({"pipeline": "civic", **fields})


def test_all_that_is_given_must_hold() -> None:
    chosen = selection(cameras=["/cameras/1"], captured_from=NOW, captured_to=NOW + HOUR)
    assert chosen.wants(topic_record(captured_at=NOW))
    assert not chosen.wants(topic_record(captured_at=NOW + HOUR))
    assert not chosen.wants(topic_record(captured_at=NOW - timedelta(microseconds=1)))
    assert not chosen.wants(topic_record(source="/cameras/2", captured_at=NOW))


def test_a_frame_without_a_capture_time_has_its_append_time() -> None:
    assert selection(captured_from=NOW).wants(topic_record())
    assert not selection(captured_from=NOW + HOUR).wants(topic_record())


@pytest.mark.parametrize("extra", [[("ce_source", b"/cameras/1")], [("ce_x", b"\xff")], [("ce_y", None)]])
def test_a_broken_envelope_is_nobodys_frame(extra: list[tuple[str, bytes | None]]) -> None:
    record = topic_record(extra=extra)
    assert not selection(cameras=["/cameras/1"]).wants(record)
    assert selection().wants(record)


def test_an_envelope_in_the_value_is_opened() -> None:
    value = b'{"specversion": "1.0", "type": "sightline.frame.v1", "id": "1", "source": "/a", "data_base64": "AA=="}'
    fields = frame_headers(event_id="", source="", media_type="application/cloudevents+json; charset=utf-8")
    record = TopicRecord("frames.civic", 0, 0, APPENDED_MS, None, value, [fields[-1]])
    assert selection(cameras=["/a"]).wants(record)
    assert not selection(cameras=["/b"]).wants(record)


@pytest.mark.parametrize("by_answer", [True, False])
def test_rows_are_narrowed_by_all_that_they_know(by_answer: bool) -> None:  # noqa: FBT001
    times = [NOW + number * HOUR for number in range(5)]
    shared: dict[str, Any] = {
        "pipeline": "civic", "frame_ids": ("f1", "f2"), "captured_from": times[0], "captured_to": times[1],
        "verdict": "accepted", "score_from": 40.0, "score_to": 65.5, "model": "aa11bb",
    }  # fmt: skip
    chosen = selection(**shared, cameras=["/c/1"], arrived_from=times[2], arrived_to=times[3])
    arrived: dict[str, Any] = {"answered_from": times[2], "answered_to": times[3]} if by_answer else {}
    expected = FrameFilter(topic="frames.civic", before=times[4], sources=("/c/1",), **shared, **arrived)
    assert chosen.rows(times[4], by_answer=by_answer) == expected
    assert chosen.by_rows


def test_rows_of_dead_letters_are_narrowed_by_code() -> None:
    assert selection(codes=["a", "b"]).rows(NOW, by_answer=False).codes == ("a", "b")


@pytest.mark.parametrize(
    ("fields", "by_rows"),
    [
        ({"codes": ["x"]}, True),
        ({"frame_ids": ["x"]}, True),
        ({"verdict": "x"}, True),
        ({"score_from": 0}, True),
        ({"score_to": 0}, True),
        ({"model": "aa11bb"}, True),
        ({"cameras": ["/c"], "captured_from": NOW, "arrived_to": NOW, "offsets": {0: (0, None)}}, False),
        ({}, False),
    ],
)
def test_rows_choose_where_records_do_not_say_it(fields: Mapping[str, Any], by_rows: bool) -> None:  # noqa: FBT001
    assert selection(**fields).by_rows is by_rows


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"codes": ["x"], "verdict": "accepted"}, "choose by code, or by result"),
        ({"captured_from": NOW, "captured_to": NOW}, "a time ends before it begins"),
        ({"offsets": {0: (5, 5)}}, "offsets end before they begin"),
        ({"score_to": 101}, "score_to"),
        ({"model": "nonsense"}, "model"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        selection(**fields)
    assert says in first_problem(raised.value)


def test_offsets_and_scores_are_read() -> None:
    assert parse_window("3:100-250") == (3, (100, 250))
    assert parse_window("0:7-") == (0, (7, None))
    assert parse_scores("40-65.5") == (40, 65.5)
    assert parse_scores("-65") == (None, 65)
    assert parse_scores("65-") == (65, None)
    for text in ("", "1:5", "a:1-2", "1:-"):
        with pytest.raises(ValueError, match=r"dash|invalid literal|could not convert|not finite"):
            parse_window(text)
    for text in ("", "5", "a-b", "nan-5"):
        with pytest.raises(ValueError, match=r"dash|invalid literal|could not convert|not finite"):
            parse_scores(text)


MARKS = {0: Marks(50, 100, 50, 100), 1: Marks(0, 10, 4, 8)}


@pytest.mark.parametrize(
    ("fields", "places", "earliest", "windows"),
    [
        ({}, None, {}, {0: (50, 100), 1: (4, 8)}),
        ({}, None, {0: 20, 1: 0}, {0: (20, 100), 1: (4, 8)}),  # in 1 the log holds what came before
        ({"archive": False}, None, {0: 20}, {0: (50, 100), 1: (4, 8)}),
        ({"offsets": {0: (10, 60)}}, None, {}, {0: (10, 60)}),
        ({"offsets": {0: (10, 60)}, "archive": False}, None, {}, {0: (50, 60)}),
        ({"offsets": {0: (99, None)}}, None, {}, {0: (99, 100)}),
        ({"verdict": "x"}, {1: {5, 7}}, {}, {1: (5, 8)}),
        ({"verdict": "x"}, {0: {30, 70}}, {0: 20}, {0: (30, 71)}),
        ({"verdict": "x", "offsets": {1: (0, 6)}}, {0: {60}, 1: {5, 7}}, {}, {1: (5, 6)}),
        ({"verdict": "x"}, {}, {}, {}),
    ],
)
def test_windows(
    fields: Mapping[str, Any],
    places: Mapping[int, set[int]] | None,
    earliest: Mapping[int, int],
    windows: Mapping[int, tuple[int, int]],
) -> None:
    found = None
    if places is not None:
        found = Places({number: frozenset(one) for number, one in places.items()}, frozenset())
    assert fix_windows(selection(**fields), MARKS, found, earliest) == windows
