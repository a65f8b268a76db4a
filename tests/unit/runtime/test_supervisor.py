"""A supervisor over real children: each ends in its own way."""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from schemas.errors import Code
from sightline.runtime import childwatch
from sightline.runtime import supervisor as module
from sightline.runtime.backoff import Backoff
from sightline.runtime.childwatch import ChildLimits
from sightline.runtime.inhand import Place, resident_bytes
from sightline.runtime.life import Life, current_life
from sightline.runtime.supervisor import supervise

GENEROUS = ChildLimits(resident_bytes=10**12, batch_s=60)
A, B = Place("frames.x", 0, 7, 1000), Place("frames.x", 1, 8, 1000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(childwatch, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "_LONGEST_WAIT_S", 0.01)


@pytest.fixture
def notes(tmp_path: Path) -> "Notes":
    return Notes(tmp_path / "notes")


class Notes:
    """Lines that children leave behind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def add(self, line: object) -> None:
        with self._path.open("a") as file:
            file.write(f"{line}\n")

    def lines(self) -> list[str]:
        return self._path.read_text().splitlines()


def _life() -> Life:
    life = current_life()
    assert life is not None
    return life


def _lives(*acts: Callable[[], int]) -> Callable[[], int]:
    """Do one thing in each life."""

    def act() -> int:
        return acts[sum(_life().deaths.values())]()

    return act


def _crash() -> int:
    ctypes.string_at(0)
    return 0


def _codes() -> dict[Place, Code | None]:
    return {suspect.place: suspect.code for suspect in _life().suspects}


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_exit_code_is_kept(code: int) -> None:
    assert supervise(lambda: code, GENEROUS) == code


def test_an_error_that_nobody_caught_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        _life().in_hand.put([A])
        raise RuntimeError("why")

    assert supervise(work, GENEROUS) == 1
    assert "RuntimeError: why" in capfd.readouterr().err


def test_a_crash_is_followed_by_a_life_that_knows_of_it(notes: Notes) -> None:
    def first() -> int:
        life = _life()
        life.in_hand.port = 4321
        life.in_hand.put([A, B])
        notes.add(life.name)
        return _crash()

    def second() -> int:
        life = _life()
        notes.add(life.name)
        assert life.port == 4321
        assert life.deaths == {"SIGSEGV": 1}
        assert life.died_at_s is not None
        assert _codes() == {A: None, B: None}
        life.in_hand.put([A], (1, 0))
        return _crash()

    def third() -> int:
        assert _codes() == {A: Code.PROCESS_KILLED, B: None}
        return 7

    with capture_logs() as logs:
        assert supervise(_lives(first, second, third), GENEROUS) == 7
    family, other = (name.partition(".")[0] for name in notes.lines())
    assert family == other
    assert notes.lines()[0] != notes.lines()[1]
    died = [entry for entry in logs if entry["event"] == "worker process died"]
    assert [entry["cause"] for entry in died] == ["SIGSEGV", "SIGSEGV"]
    assert [entry["blamed"] for entry in died] == [[], ["frames.x/0/7"]]
    for entry in died:
        assert "Segmentation fault" in entry["traceback"]
        assert "_crash" in entry["traceback"]


def test_a_library_that_exits_with_records_in_hand_is_a_crash() -> None:
    def exits() -> int:
        _life().in_hand.put([A])
        os._exit(5)

    def after() -> int:
        assert _life().deaths == {"exit 5": 1}
        assert _codes() == {A: None}
        return 0

    assert supervise(_lives(exits, after), GENEROUS) == 0


def test_an_exit_with_nothing_in_hand_is_an_exit() -> None:
    def exits() -> int:
        os._exit(5)

    assert supervise(exits, GENEROUS) == 5


def test_a_hang_that_holds_the_interpreter_is_ended_and_says_where() -> None:
    def hang() -> int:
        _life().in_hand.put([A], (1, 0))
        time.sleep(0.1)
        _life().in_hand.put([B])
        ctypes.PyDLL(None).sleep(60)
        return 0

    def after() -> int:
        assert _codes()[A] is Code.PROCESS_HUNG
        return 0

    limits = ChildLimits(GENEROUS.resident_bytes, batch_s=0.3)
    with capture_logs() as logs:
        assert supervise(_lives(hang, after), limits) == 0
    (died,) = logs
    assert (died["fate"], died["cause"]) == ("hung", "longer than 0.3 s at one batch")
    assert "in hang" in died["traceback"]


def test_a_hang_that_begins_just_before_a_look_is_blamed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(childwatch, "_LOOK_EVERY_S", 0.25)

    def hang() -> int:
        time.sleep(0.2)
        _life().in_hand.put([A], (1, 0))
        ctypes.PyDLL(None).sleep(60)
        return 0

    def after() -> int:
        assert _codes() == {A: Code.PROCESS_HUNG}
        return 0

    assert supervise(_lives(hang, after), ChildLimits(GENEROUS.resident_bytes, batch_s=0.45)) == 0


def test_a_child_that_somebody_froze_is_not_at_work() -> None:
    others = _children()

    def work() -> int:
        slot = _life().in_hand.put([A])
        os.kill(os.getpid(), signal.SIGSTOP)
        _life().in_hand.clear(slot)
        return 0

    def thaw() -> None:
        _wait(lambda: bool(_children() - others))
        (child,) = _children() - others
        while child.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        time.sleep(0.6)
        os.kill(os.getpid(), signal.SIGCONT)  # the supervisor passes it on

    thread = threading.Timer(0.2, thaw)
    thread.start()
    with capture_logs() as logs:
        assert supervise(work, ChildLimits(GENEROUS.resident_bytes, batch_s=0.3)) == 0
    thread.join()
    assert logs == []


def _eat_past(limit: int) -> None:
    eaten = []
    while resident_bytes() < limit:
        eaten.append(b"\1" * 2**24)
    time.sleep(60)


def _memory_limit() -> int:
    return psutil.Process().memory_info().rss * 3 // 2


def test_memory_over_the_limit_is_blamed_on_what_made_it_grow() -> None:
    limit = _memory_limit()

    def eat() -> int:
        _life().in_hand.put([A], (1, 0))
        _eat_past(limit)
        return 0

    def after() -> int:
        assert _codes() == {A: Code.MEMORY_EXHAUSTED}
        return 0

    assert supervise(_lives(eat, after), ChildLimits(limit, 60)) == 0


def test_memory_that_was_taken_before_is_blamed_on_nobody() -> None:
    limit = _memory_limit()

    def eat() -> int:
        eaten = []
        while resident_bytes() < limit * 0.95:
            eaten.append(b"\1" * 2**20)
        _life().in_hand.put([A], (1, 0))
        _eat_past(limit)
        return 0

    def after() -> int:
        assert _codes() == {}
        return 0

    assert supervise(_lives(eat, after), ChildLimits(limit, 60)) == 0


def test_sigterm_is_passed_on_and_the_exit_code_comes_back(notes: Notes) -> None:
    def work() -> int:
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        notes.add("ready")
        while not ended.is_set():
            time.sleep(0.01)
        return 4

    _when(lambda: bool(notes.lines()), signal.SIGTERM)
    assert supervise(work, GENEROUS) == 4


def test_sigterm_ends_the_wait_for_the_next_life(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_WAIT_S", 60.0)
    monkeypatch.setattr(Backoff, "next_delay_s", lambda _: 60.0)
    others = _children()

    def work() -> int:
        notes.add("dies")
        return _crash()

    _when(lambda: bool(notes.lines()) and _children() <= others, signal.SIGTERM)
    began = time.monotonic()
    assert supervise(work, GENEROUS) == 0
    assert time.monotonic() - began < 10


def test_the_wait_grows_until_a_life_has_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    real = Backoff.next_delay_s

    def delay_s(backoff: Backoff) -> float:
        waits.append(backoff.tries)
        real(backoff)
        return 0.0

    monkeypatch.setattr(Backoff, "next_delay_s", delay_s)
    assert supervise(_lives(_crash, _crash, _crash, lambda: 0), GENEROUS) == 0
    assert waits == [0, 1, 2]
    waits.clear()
    monkeypatch.setattr(module, "_SETTLED_AFTER_S", 0.0)
    assert supervise(_lives(_crash, _crash, lambda: 0), GENEROUS) == 0
    assert waits == [0, 0]


@pytest.fixture
def outer(notes: Notes) -> Iterator[int]:
    """Yield the process id of a supervisor of its own, with a child that would live long."""

    def work() -> int:
        notes.add(os.getpid())
        time.sleep(60)
        return 0

    pid = os.fork()
    if pid == 0:
        os._exit(supervise(work, GENEROUS))
    while not notes.lines():
        time.sleep(0.01)
    yield pid
    for left in (pid, int(notes.lines()[-1])):
        try:
            os.kill(left, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_the_child_dies_with_its_supervisor(notes: Notes, outer: int) -> None:
    child = psutil.Process(int(notes.lines()[0]))
    os.kill(outer, signal.SIGKILL)
    os.waitpid(outer, 0)
    # An orphan may stay a zombie where nobody reaps it.
    _wait(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_child_that_dies_of_sigterm_has_its_supervisor_die_of_it(outer: int) -> None:
    os.kill(outer, signal.SIGTERM)
    assert os.waitpid(outer, 0)[1] == signal.SIGTERM


def test_without_a_supervisor_there_is_no_life() -> None:
    assert current_life() is None


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children())


def _when(condition: Callable[[], bool], number: int) -> None:
    def send() -> None:
        _wait(condition)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
