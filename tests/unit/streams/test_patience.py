"""Waiting out outages."""

import pytest

from schemas.errors import BrokenError, OutageError, SetupError
from streams.patience import GivenBackError, Patience
from streams.tracker import Record, Tracker


def _held() -> tuple[Tracker, Record]:
    tracker = Tracker(lambda _: None)
    tracker.assign("frames.x", 0)
    partition = tracker.get("frames.x", 0)
    assert partition is not None
    return tracker, partition.take(0, 0, None, b"", [], 0)


class Instant(Tracker):
    """A tracker whose waits take no time."""

    def wait_unless_given_back(self, records: object, timeout_s: float) -> None:
        del records, timeout_s


def test_a_step_that_succeeds_is_done_once() -> None:
    tracker, record = _held()
    patience = Patience("g", tracker, lambda _: None)
    assert patience.insist([record], lambda: 7) == 7
    assert patience.outage() is None


def test_an_outage_is_waited_out_and_heard_of_once_for_each_kind() -> None:
    tracker, record = _held()
    tracker.__class__ = Instant
    heard: list[OutageError] = []
    patience = Patience("g", tracker, heard.append)
    tries = iter([OutageError("s3", "away"), OutageError("s3", "away"), SetupError("s3", "no bucket"), None])

    def act() -> str:
        error = next(tries)
        if error is not None:
            raise error
        assert patience.outage() is not None
        return "done"

    assert patience.insist([record], act) == "done"
    # Once when it begins, once when it turns out to be our own setup, which alerts.
    assert [type(outage) for outage in heard] == [OutageError, SetupError]
    assert patience.outage() is None


def test_records_that_went_to_somebody_else_are_left_alone() -> None:
    tracker, record = _held()
    tracker.revoke("frames.x", 0)
    with pytest.raises(GivenBackError):
        Patience("g", tracker, lambda _: None).insist([record], lambda: pytest.fail("not ours any more"))


def test_a_revoke_ends_the_waiting() -> None:
    tracker, record = _held()

    def revoke(_: OutageError) -> None:
        tracker.revoke("frames.x", 0)

    patience = Patience("g", tracker, revoke)

    def act() -> None:
        raise OutageError("postgres", "away")

    with pytest.raises(GivenBackError):
        patience.insist([record], act)


def test_other_errors_pass_through() -> None:
    tracker, record = _held()

    def act() -> None:
        raise ZeroDivisionError

    patience = Patience("g", tracker, lambda _: None)
    with pytest.raises(ZeroDivisionError):
        patience.insist([record], act)
    assert patience.outage() is None


def test_an_engine_that_stays_broken_ends_the_process_and_an_outage_never_does() -> None:
    tracker, record = _held()
    tracker.__class__ = Instant
    patience = Patience("g", tracker, lambda _: None)
    tries = 0

    def fail(error: OutageError, until: int) -> None:
        nonlocal tries
        tries += 1
        if tries < until:
            raise error

    with pytest.raises(BrokenError):
        patience.insist([record], lambda: fail(BrokenError("model", "the engine fails"), 10_000))
    assert 10 < tries < 100
    assert patience.outage() is None
    tries = 0
    patience.insist([record], lambda: fail(OutageError("s3", "away"), 10_000))
    assert tries == 10_000
