"""A supervisor: it starts the process that does the work, watches it, and starts another when that one dies.

The work is done in a child, forked before anything heavy is imported. The supervisor holds nothing and decodes nothing,
so what a hostile picture does to a native decoder does not reach it. It

1. passes SIGTERM, SIGINT and SIGCONT on, and ends with the child's exit code;
2. ends a child that is over its memory limit, or longer at one batch than the time limit allows;
3. after any other end than an exit, notes what was in hand (`inhand.py`), judges it (`deaths.py`), and starts the next
   child with what it found, after a back-off.

When the supervisor dies in any way, the kernel kills the child.
"""

import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sightline.runtime.backoff import Backoff
from sightline.runtime.childwatch import ChildLimits, ChildWatch, sleep, suspected
from sightline.runtime.deaths import End, Suspect, end_of, judge, status_code
from sightline.runtime.inhand import InHand, Place
from sightline.runtime.life import PASSED_ON, Child, Life
from sightline.runtime.log import get_logger

_log = get_logger(__name__)
# A child that lived this long was no part of a crash loop.
_SETTLED_AFTER_S: Final = 60.0
_LONGEST_WAIT_S: Final = 30.0
_MOST_SUSPECTS: Final = 10_000


def supervise(work: Callable[[], int], limits: ChildLimits) -> int:
    """Run `work` in children until one ends by itself; return its exit code. Blocks; call from the main thread.

    `work` returns the exit code of its process, and finds its `current_life` there. A process that was asked to end and
    died of that signal has us die of it.
    """
    return _Supervisor(work, limits).run()


class _Supervisor:
    def __init__(self, work: Callable[[], int], limits: ChildLimits) -> None:
        self._work = work
        self._limits = limits
        self._family = secrets.token_hex(4)
        self._suspects: dict[Place, Suspect] = {}
        self._deaths: Counter[str] = Counter()
        self._died_at_s: float | None = None
        self._port: int | None = None
        self._pid: int | None = None
        self._backoff = Backoff(longest_s=_LONGEST_WAIT_S)
        self._asked: int | None = None  # the signal that asked us to end
        self._traceback = os.memfd_create("traceback")

    def run(self) -> int:
        with _woken_by_signals(self._on_signal) as woken:
            while True:
                child = Child(self._next_life(), self._work, self._traceback)
                self._pid = child.pid
                status, end = ChildWatch(child, self._limits, woken, lambda: self._asked).until_it_ends()
                self._pid = None
                if self._asked is not None or self._ended_by_itself(child, status):
                    return self._last_code(status)
                self._note(child, end or end_of(status))
                self._wait(woken)
                if self._asked is not None:
                    return 0

    def _next_life(self) -> Life:
        return Life(
            InHand(),
            self._family,
            f"{self._family}.{sum(self._deaths.values())}",
            os.getpid(),
            tuple(self._suspects.values()),
            self._port,
            self._deaths.copy(),
            self._died_at_s,
        )

    def _ended_by_itself(self, child: Child, status: int) -> bool:
        """Tell an exit of Python's own from one that a native library took with records in hand."""
        code = status_code(status)
        return code >= 0 and (child.returned() or not child.life.in_hand.read())

    def _last_code(self, status: int) -> int:
        code = status_code(status)
        if code >= 0:
            return code
        if -code in PASSED_ON:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        return 1

    def _note(self, child: Child, end: End) -> None:
        life = child.life
        held = suspected(end, life.in_hand.read(), self._limits)
        self._suspects = judge(self._suspects, held, end)
        while len(self._suspects) > _MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        self._port = life.in_hand.port or life.port
        self._deaths[end.cause] += 1
        self._died_at_s = time.monotonic()
        if self._died_at_s - child.started_s > _SETTLED_AFTER_S:
            self._backoff.reset()
        places = [place for one in held for place in one.places]
        _log.error(
            "worker process died",
            pid=child.pid,
            cause=end.cause,
            fate=end.fate.name.lower(),
            in_hand=[f"{place.topic}/{place.partition}/{place.offset}" for place in places[:20]],
            blamed=[
                f"{place.topic}/{place.partition}/{place.offset}"
                for place in places
                if self._suspects[place].code is not None
            ],
            resident_bytes=child.resident_bytes,
            traceback=_take_text(self._traceback),
        )

    def _wait(self, woken: int) -> None:
        until = time.monotonic() + self._backoff.next_delay_s()
        while self._asked is None and (left := until - time.monotonic()) > 0:
            sleep(woken, left)

    def _on_signal(self, number: int) -> None:
        if number != signal.SIGCONT:
            self._asked = number
        elif self._pid is not None:
            os.kill(self._pid, signal.SIGCONT)


def _take_text(file: int) -> str:
    text = os.pread(file, 16_384, 0).decode(errors="replace").strip()
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    return text


@contextmanager
def _woken_by_signals(on_signal: Callable[[int], None]) -> Iterator[int]:
    """Yield a descriptor that is readable after a signal, also that of a child's end; `on_signal` hears all others."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda got, _: on_signal(got)) for number in (*PASSED_ON, signal.SIGCONT)}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _got, _frame: None)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
