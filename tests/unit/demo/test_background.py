"""Threads of the demo end when they are asked to, and none dies unseen."""

import threading

import pytest

from schemas.errors import OutageError
from sightline.demo.background import Background


@pytest.mark.parametrize("failure", [OutageError("worker", "gone"), ConnectionResetError()])
def test_whatever_ends_the_work_is_raised_by_check(failure: Exception) -> None:
    def work(_: threading.Event) -> None:
        raise failure

    part = Background("part", work)
    part.start()
    part._thread.join(5)
    with pytest.raises(type(failure)):
        part.check()
    part.stop()


def test_it_works_from_start_to_stop() -> None:
    seen: list[str] = []

    def work(stop: threading.Event) -> None:
        seen.append("begun")
        assert stop.wait(5)
        seen.append("ended")

    part = Background("part", work)
    part.start()
    part.stop()
    part.stop()
    part.check()
    assert seen == ["begun", "ended"]


def test_it_may_be_stopped_before_its_start() -> None:
    Background("part", lambda _: None).stop()
