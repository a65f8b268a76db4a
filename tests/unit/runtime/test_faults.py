"""Pictures that do harm, where a test lets them."""

import faulthandler
import os
import signal
import time

import pytest

from sightline.runtime import faults as module
from sightline.runtime.faults import CRASHING, HANGING, HUNGRY, KILLING, Faults


def _status(faults: Faults, marker: bytes, kill_after_s: float | None = None) -> int:
    """Meet a picture in a process of its own; return how that ended."""
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()  # pytest's own would tell everybody
        faults.meet([None, b"picture", b"pic" + marker + b"ture"])
        os._exit(0)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        os.kill(pid, signal.SIGTERM)
    return os.waitpid(pid, 0)[1] & 0x7F


@pytest.mark.parametrize("marker", [CRASHING, HANGING, HUNGRY, KILLING])
def test_unless_they_may_they_do_none(marker: bytes) -> None:
    assert _status(Faults(None), marker) == 0


def test_a_crash_is_a_real_one() -> None:
    assert _status(Faults(None, pictures=True), CRASHING) == signal.SIGSEGV


def test_a_hang_lasts() -> None:
    assert _status(Faults(None, pictures=True), HANGING, kill_after_s=0.3) == signal.SIGTERM


def test_memory_is_really_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_APPETITE_BYTES", 4 * module._MOUTHFUL_BYTES)
    monkeypatch.setattr(module, "_DIGESTION_S", 0.0)
    assert _status(Faults(None, pictures=True), HUNGRY) == 0


def test_a_worker_is_killed_with_its_supervisor() -> None:
    supervisor = os.fork()
    if supervisor == 0:
        time.sleep(60)
        os._exit(0)
    pid = os.fork()
    if pid == 0:
        Faults(None, pictures=True, supervisor=supervisor).meet([KILLING])
        os._exit(0)
    assert [os.waitpid(one, 0)[1] for one in (supervisor, pid)] == [signal.SIGKILL] * 2
