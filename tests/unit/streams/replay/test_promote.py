from datetime import timedelta
from typing import Any

from schemas import topics
from schemas.identity import promoted_id, result_id
from schemas.message import result_message
from sinks.postgres.replay_results import ReplayedPair
from streams.replay.promote import Promotion, promoted
from tests.unit.streams.replay.samples import NOW

LATER = NOW + timedelta(hours=1)


def body(verdict: str, replay_id: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "result_id": f"id of {replay_id}", "frame_id": "f", "pipeline": "civic", "kind": "frame", "variant": "live",
        "source": "/c", "captured_at": NOW.isoformat(), "processed_at": NOW.isoformat(), "verdict": verdict,
        "replay_id": replay_id, **fields,
    }  # fmt: skip


def test_what_changed_is_published_once_more_under_an_id_that_follows_from_it() -> None:
    tally = Promotion()
    pair = ReplayedPair(body("rejected", "r"), body("accepted"))
    (result,) = promoted([pair], LATER, tally, copies=False)
    assert result.result_id == promoted_id("id of r")
    assert result.supersedes == result_id("f", "civic", None, "live")
    assert (result.verdict, result.replay_id, result.processed_at) == ("rejected", "r", LATER)
    assert list(promoted([pair], LATER, Promotion(), copies=False)) == [result]
    assert result_message(result).topic == topics.results("civic")
    assert tally == Promotion(changed=1)


def test_a_frame_that_had_no_answer_has_one_now() -> None:
    (result,) = promoted([ReplayedPair(body("rejected", "r"), None)], LATER, Promotion(), copies=False)
    assert result.supersedes == result_id("f", "civic", None, "live")


def test_the_same_answer_is_left_alone_whatever_made_it() -> None:
    tally = Promotion()
    same = ReplayedPair(body("accepted", "r", settings_digest="a", timings_ms={"a": 1}), body("accepted"))
    assert not list(promoted([same], LATER, tally, copies=False))
    assert tally == Promotion(unchanged=1)


def test_what_was_skipped_or_analysed_from_a_copy_stays_out() -> None:
    tally = Promotion()
    cancelled = ReplayedPair(body("", "r", kind="skipped", summary={"skipped": "replay-cancelled"}), body("accepted"))
    copy = ReplayedPair(body("rejected", "r", archived=True), body("accepted"))
    assert not list(promoted([cancelled, copy], LATER, tally, copies=False))
    assert tally == Promotion(copies=1, skipped=1)
    assert len(list(promoted([cancelled, copy], LATER, Promotion(), copies=True))) == 1
