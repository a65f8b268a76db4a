"""Which frames are skipped, and what is said of them."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.frame import Frame, Origin, parse_frame
from schemas.headers import Headers
from schemas.identity import result_id
from streams.skipping import Skipped, Skipping, is_kept, skipped_answer
from streams.tracker import Record, Tracker
from tests.pictures import headers
from tests.unit.processors.lineups import definition

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOPIC = "frames.unit"


def _frame(
    number: int = 0, *, age_s: float = 0.0, newer: int = 5, partition: int = 0, more: Headers | None = None
) -> tuple[Frame, Record]:
    tracker = Tracker(lambda _: None)
    tracked = tracker.assign(TOPIC, partition)
    tracked.log_end = number + 1 + newer
    timestamp_ms = round((NOW - timedelta(seconds=age_s)).timestamp() * 1000)
    fields = [*headers(f"e{number}", "/c/1"), *(more or [])]
    record = tracked.take(number, timestamp_ms, b"/c/1", b"bytes", fields, 5)
    return parse_frame(b"bytes", fields, Origin(TOPIC, partition, number), timestamp_ms), record


def _skipping(**changes: object) -> Skipping:
    return Skipping(definition("civic", **changes), lambda: NOW)


def test_by_default_nothing_is_skipped_however_old() -> None:
    assert _skipping()(*_frame(age_s=86_400)) is None


@pytest.mark.parametrize("choice", ["never_drop", "newest_first", "thin_out"])
@pytest.mark.parametrize(("at", "skipped"), [("11:59:59", True), ("12:00:00", False), ("12:00:01", False)])
def test_a_frame_past_its_deadline_is_skipped_in_every_pipeline(choice: str, at: str, *, skipped: bool) -> None:
    deadline: Headers = [("ce_deadline", f"2026-03-01T{at}Z".encode())]
    assert _skipping(when_behind=choice)(*_frame(more=deadline)) == (Skipped.DEADLINE if skipped else None)


@pytest.mark.parametrize("choice", ["newest_first", "thin_out"])
@pytest.mark.parametrize(("age_s", "newer"), [(9.9, 5), (3600, 0)])
def test_fresh_frames_and_the_last_one_are_looked_at(choice: str, age_s: float, newer: int) -> None:
    asked = _skipping(when_behind=choice, behind={"lag_s": 10, "keep_share": 0.0})
    assert asked(*_frame(age_s=age_s, newer=newer)) is None


def test_newest_first_goes_on_until_frames_are_fresh() -> None:
    asked = _skipping(when_behind="newest_first", behind={"lag_s": 10})
    ages = [9, 11, 9, 5, 2.1, 1.9, 9]
    assert [asked(*_frame(n, age_s=age)) is None for n, age in enumerate(ages)] == [
        True, False, False, False, False, True, True,
    ]  # fmt: skip
    # Each partition has a backlog of its own.
    assert asked(*_frame(age_s=11, partition=1)) is Skipped.NEWEST_FIRST
    assert asked(*_frame(age_s=9, partition=0)) is None


def test_thinning_chooses_the_same_frames_everywhere() -> None:
    frames = [_frame(n, age_s=60) for n in range(400)]
    first, second = ([_skipping(when_behind="thin_out")(*frame) for frame in frames] for _ in range(2))
    assert first == second
    assert set(first) == {None, Skipped.THINNED}
    assert 70 <= first.count(None) <= 130  # a quarter


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (1.0, 1000)])
def test_all_or_none_can_be_kept(share: float, kept: int) -> None:
    assert sum(is_kept(f"frame-{n}", share) for n in range(1000)) == kept


def test_a_larger_share_keeps_what_a_smaller_one_keeps() -> None:
    ids = [f"frame-{n}" for n in range(1000)]
    assert {one for one in ids if is_kept(one, 0.2)} < {one for one in ids if is_kept(one, 0.5)}


def test_the_answer_says_why_and_nothing_of_the_picture() -> None:
    frame, _ = _frame()
    answer = skipped_answer(frame, "civic", Skipped.DEADLINE, NOW)
    result = answer.result
    assert (result.kind, result.summary, answer.artifacts) == ("skipped", {"skipped": "deadline"}, ())
    assert result.result_id == result_id(frame.frame_id, "civic", None, "live")
    assert result.verdict is None
    assert result.image is None
    assert b'"skipped":"deadline"' in result.to_json()
