"""The books that the camera holds back by, and that the view shows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from schemas.deadletter import DeadLetter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from sightline.demo.sample import Sample
from sightline.demo.tally import Answer, SentFrame, Tally

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _frame(number: int, size: int) -> SentFrame:
    sample = Sample(f"{number}.jpg", bytes(size), "image/jpeg", Code.VALUE_EMPTY)
    return SentFrame(Origin("frames.civic", 0, number), sample, "/camera", NOW, None)


def _answer(frame: SentFrame, after_s: float = 0.1) -> Answer:
    made_at = NOW + timedelta(seconds=after_s)
    letter = DeadLetter("dl", Stage.FRAME, Code.VALUE_EMPTY, "so", 1, frame.origin, made_at, "me")
    return Answer(frame.origin, letter, made_at, (f"deadletters/{frame.origin.offset}",))


def test_bytes_are_unanswered_from_the_hand_over_to_the_answer() -> None:
    tally, frames = Tally(), [_frame(0, 100), _frame(1, 30)]
    for frame in frames:
        tally.handed_over(frame.sample)
    assert tally.unanswered_bytes() == 130
    tally.sent(frames[0])
    tally.sent(frames[1])
    assert tally.unanswered_bytes() == 130
    tally.answered(_answer(frames[0]))
    assert tally.unanswered_bytes() == 30


def test_an_answer_may_overtake_the_acknowledgement() -> None:
    tally, frame = Tally(), _frame(0, 100)
    tally.handed_over(frame.sample)
    tally.answered(_answer(frame))
    assert tally.unanswered_bytes() == 100
    tally.sent(frame)
    assert tally.unanswered_bytes() == 0
    books = tally.books()
    assert (books.sent, books.dead_letters, books.in_flight) == (1, 1, 0)
    assert [shown[:2] for shown in books.newest_letters] == [("/camera", "0.jpg")]


def test_a_guest_is_shown_and_nobody_waits_for_it() -> None:
    tally = Tally()
    tally.answered(replace(_answer(_frame(0, 100)), source="/me"))
    books = tally.books()
    assert [shown[0] for shown in books.newest_letters] == ["/me"]
    assert (books.sent, books.in_flight, books.dead_letters) == (0, 0, 1)
    assert tally.unanswered_bytes() == 0


def test_a_second_answer_counts_but_settles_nothing_twice() -> None:
    tally, frame = Tally(), _frame(0, 100)
    tally.handed_over(frame.sample)
    tally.sent(frame)
    tally.answered(_answer(frame))
    tally.answered(_answer(frame))
    assert tally.unanswered_bytes() == 0
    assert tally.books().dead_letters == 2
    assert len(tally.everything()[1]) == 2


def test_bytes_are_unstored_until_the_slower_sink_has_them() -> None:
    tally = Tally()
    for frame in (_frame(0, 100), _frame(1, 30), _frame(2, 7)):
        tally.handed_over(frame.sample)
        tally.sent(frame)
        tally.answered(_answer(frame))
    assert [tally.unstored_bytes(stored) for stored in (0, 1, 3, 9)] == [137, 37, 0, 0]


def test_a_refused_frame_is_not_waited_for() -> None:
    tally, frame = Tally(), _frame(0, 100)
    tally.handed_over(frame.sample)
    tally.refused(frame.sample, InputError(Code.RECORD_INVALID, Stage.FRAME, "no"))
    assert tally.unanswered_bytes() == 0
    assert [sample for sample, _ in tally.everything()[2]] == [frame.sample]


def test_latency_is_from_being_sent_to_being_answered_and_never_negative() -> None:
    tally, slow, early = Tally(), _frame(0, 1), replace(_frame(1, 1), sent_at=NOW + timedelta(seconds=5))
    for frame in (slow, early):
        tally.sent(frame)
        tally.answered(_answer(frame, after_s=0.25))
    assert list(tally.books().latencies_s) == [0.25, 0.0]


def test_promised_objects_are_remembered_once() -> None:
    tally, frame = Tally(), _frame(4, 1)
    tally.answered(_answer(frame))
    tally.answered(_answer(frame))
    assert tally.object_keys() == {"deadletters/4"}
