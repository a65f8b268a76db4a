"""The books that the camera holds back by, and that the view shows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from schemas.deadletter import DeadLetter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.result import ArtifactReference, Detection, Result
from sightline.demo.sample import Sample
from sightline.demo.system import OBJECTS, ROWS
from sightline.demo.tally import Answer, SentFrame, Tally

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _frame(number: int, size: int) -> SentFrame:
    sample = Sample(f"{number}.jpg", bytes(size), "image/jpeg", Code.VALUE_EMPTY)
    return SentFrame(Origin("frames.civic", 0, number), sample, "/camera", NOW, None)


def _answer(frame: SentFrame, after_s: float = 0.1) -> Answer:
    made_at = NOW + timedelta(seconds=after_s)
    letter = DeadLetter("dl", Stage.FRAME, Code.VALUE_EMPTY, "so", 1, frame.origin, made_at, "me")
    size = len(frame.sample.value or b"")
    return Answer(frame.origin, letter, made_at, (f"deadletters/{frame.origin.offset}",), None, size, (size,))


def _result(pipeline: str, hands: int, artifact: str = "") -> Result:
    detection = Detection(class_name="hand", class_id=0, confidence=0.9, bbox=[0, 0, 1, 1])
    kept = ArtifactReference(kind=artifact, key="overlays/x.jpg", sha256="0", media_type="image/jpeg", size_bytes=3)
    return Result(
        result_id="r", frame_id="f", pipeline=pipeline, source="/a", captured_at=NOW, processed_at=NOW,
        detections=[detection] * hands, artifacts=[kept] if artifact else None,
    )  # fmt: skip


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
    rows, objects = (ROWS, "civic"), (OBJECTS, "civic")
    stored = [{rows: 9, objects: count} for count in (0, 1, 3, 9)]
    assert [tally.unstored_bytes(counts) for counts in stored] == [137, 37, 0, 0]
    assert [tally.all_stored(counts) for counts in stored] == [False, False, True, True]
    assert tally.unstored_bytes({rows: 1, objects: 2}) == 37
    assert tally.unstored_bytes({}) == 137


def test_each_pipeline_has_its_own_sinks_to_wait_for() -> None:
    tally, civic = Tally(), _frame(0, 100)
    pose = replace(_frame(0, 20), origin=Origin("frames.pose", 0, 0))
    for frame in (civic, pose):
        tally.sent(frame)
        tally.answered(_answer(frame))
    assert tally.unstored_bytes({(ROWS, "civic"): 5, (OBJECTS, "civic"): 5}) == 20
    assert not tally.all_stored({(ROWS, "civic"): 5, (OBJECTS, "civic"): 5})


def test_books_tell_the_pipelines_apart() -> None:
    tally = Tally()
    for frame in (_frame(0, 1), replace(_frame(1, 1), origin=Origin("frames.pose", 0, 7))):
        tally.sent(frame)
    frame = replace(_frame(2, 1), origin=Origin("frames.pose", 0, 8))
    tally.sent(frame)
    tally.answered(Answer(frame.origin, _result("pose", hands=2), NOW + timedelta(seconds=0.5)))
    books = tally.books().pipelines
    assert {name: (one.sent, one.results, one.detections) for name, one in books.items()} == {
        "civic": (1, 0, 0), "pose": (2, 1, 2),
    }  # fmt: skip
    assert books["pose"].latencies_s == (0.5,)
    assert books["pose"].last is not None
    assert books["pose"].last[0] == "2.jpg"
    assert books["civic"].last is None


def test_the_newest_drawn_result_of_each_picture_is_known() -> None:
    tally = Tally()
    for number, artifacts in enumerate(("overlay", "overlay", "")):
        frame = replace(
            _frame(number, 1), origin=Origin("frames.pose", 0, number), sample=_frame(number // 2, 1).sample
        )
        tally.sent(frame)
        tally.answered(Answer(frame.origin, _result("pose", 1, artifacts), NOW))
    assert list(tally.drawn()) == [("pose", "0.jpg")]


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
