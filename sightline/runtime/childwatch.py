"""Looking after one child: what it may take, and its end when it takes more."""

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sightline.runtime.deaths import End, Fate
from sightline.runtime.inhand import Held, resident_bytes
from sightline.runtime.life import Child

_LOOK_EVERY_S: Final = 0.1
# The child gives itself 9 s to end; SIGTERM must end all of it within 10.
_END_WITHIN_S: Final = 9.5
_TRACEBACK_WITHIN_S: Final = 2.0
# Where so much of the limit was taken before a record was begun, the memory is not its doing.
_TAKEN_BEFORE: Final = 0.9


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may take: bytes resident, and seconds at one batch."""

    resident_bytes: int
    batch_s: float


class ChildWatch:
    """Looks at a child until it ends.

    `asked` returns the signal that asks all to end, once there is one; descriptor `woken` is readable after a signal.
    """

    def __init__(self, child: Child, limits: ChildLimits, woken: int, asked: Callable[[], int | None]) -> None:
        self._child = child
        self._limits = limits
        self._woken = woken
        self._asked = asked
        self._passed_on_s: float | None = None
        self._busy_s: dict[float, float] = {}

    def until_it_ends(self) -> tuple[int, End | None]:
        """Return the wait status, and why we ended it, if we did."""
        last_s = time.monotonic()
        while True:
            pid, status = os.waitpid(self._child.pid, os.WNOHANG)
            if pid:
                return status, None
            self._pass_on()
            now = time.monotonic()
            end = self._overrun(now - last_s)
            last_s = now
            if end is not None and self._asked() is None:
                return self._end(end), end
            sleep(self._woken, _LOOK_EVERY_S)

    def _pass_on(self) -> None:
        number = self._asked()
        if number is None:
            return
        if self._passed_on_s is None:
            self._passed_on_s = time.monotonic()
            self._child.send(number)
        elif time.monotonic() - self._passed_on_s > _END_WITHIN_S:
            self._child.send(signal.SIGKILL)

    def _overrun(self, passed_s: float) -> End | None:
        child, limits = self._child, self._limits
        child.resident_bytes = resident_bytes(child.pid) or child.resident_bytes
        if child.resident_bytes > limits.resident_bytes:
            return End(Fate.MEMORY, f"more than {limits.resident_bytes / 1e6:.0f} MB resident")
        # Only time that we saw pass counts: the machine, or all of us, may have been frozen in between.
        seen_s = 0.0 if child.stands_still() else min(passed_s, 2 * _LOOK_EVERY_S)
        now = time.monotonic()
        # Nor more than it can have lasted: what began a moment ago did so within the time that we saw pass.
        self._busy_s = {
            start: min(self._busy_s.get(start, 0.0) + seen_s, now - start) for start in child.life.in_hand.started()
        }
        if max(self._busy_s.values(), default=0.0) > limits.batch_s:
            return End(Fate.HUNG, f"longer than {limits.batch_s:g} s at one batch")
        return None

    def _end(self, end: End) -> int:
        """Kill the child; one that hangs has to say where, which SIGABRT makes its fault handler do."""
        if end.fate is Fate.HUNG:
            self._child.send(signal.SIGABRT)
            until = time.monotonic() + _TRACEBACK_WITHIN_S
            while time.monotonic() < until:
                pid, status = os.waitpid(self._child.pid, os.WNOHANG)
                if pid:
                    return status
                time.sleep(_LOOK_EVERY_S / 10)
        self._child.send(signal.SIGKILL)
        return os.waitpid(self._child.pid, 0)[1]


def suspected(end: End, held: list[Held], limits: ChildLimits) -> list[Held]:
    """Return what was in hand, but for what cannot have caused this end."""
    if end.fate is Fate.HUNG:
        longest = time.monotonic() - limits.batch_s
        return [one for one in held if one.started_s <= longest]
    if end.fate is Fate.MEMORY:
        return [one for one in held if one.resident_bytes < _TAKEN_BEFORE * limits.resident_bytes]
    return held


def sleep(woken: int, seconds: float) -> None:
    """Sleep until a signal comes, or the time is over."""
    if select.select([woken], [], [], seconds)[0]:
        os.read(woken, 1024)
