"""A process whose loop hangs for good is started anew; one that is frozen or slow for a while is not."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from streams import process
from streams.process import Process
from streams.publisher import Publisher


class _Quiet:
    """A publisher with nothing to do."""

    def failure(self) -> None:
        return None

    def problem(self) -> None:
        return None

    def stalled(self) -> str | None:
        return None

    def close(self, _: float) -> None:
        return None


class _Loop:
    """Says at each look what the test has it say, and ends the process after the last."""

    def __init__(self, said: Iterator[str | None]) -> None:
        self._said = said
        self._stop = threading.Event()

    def run(self) -> None:
        self._stop.wait(30)

    def stop(self) -> None:
        self._stop.set()

    def unready(self) -> str | None:
        return None

    def stalled(self) -> str | None:
        said = next(self._said, "over")
        if said == "over":
            self._stop.set()
            return None
        return said


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append((pid, number)))
    monkeypatch.setattr(process, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(process, "_STUCK_S", 0.05)
    return signals


def _run(said: list[str | None]) -> None:
    with pytest.raises(RuntimeError, match="ended by itself"):
        Process([_Loop(iter(said))], cast("Publisher", _Quiet())).run(None, lambda _: None)


def test_a_loop_that_hangs_for_good_ends_its_process(
    killed: list[tuple[int, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    _run(["hangs"] * 8)
    assert killed[0] == (os.getpid(), signal.SIGKILL)
    assert "test_process.py" in capfd.readouterr().err, "where it hung is not said"


def test_so_does_a_publisher_or_what_is_followed(killed: list[tuple[int, int]]) -> None:
    class Hanging(_Quiet):
        def stalled(self) -> str | None:
            return "hangs"

    for publisher, followed in ((Hanging(), _Quiet()), (_Quiet(), Hanging())):
        killed.clear()
        with pytest.raises(RuntimeError, match="ended by itself"):
            Process([_Loop(iter([None] * 8))], cast("Publisher", publisher), [followed]).run(None, lambda _: None)
        assert killed[0] == (os.getpid(), signal.SIGKILL)


def test_a_loop_that_goes_on_in_time_does_not(killed: list[tuple[int, int]]) -> None:
    _run(["slow", "slow", "slow", None] * 10)
    assert killed == []
