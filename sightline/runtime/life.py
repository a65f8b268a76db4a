"""One life of a process that has a supervisor: what it is told, its fork, and its end."""

import ctypes
import faulthandler
import gc
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from sightline.runtime.deaths import Suspect
from sightline.runtime.inhand import InHand

PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Life:
    """What a child is told by its supervisor.

    `name` is this life's own and begins with `family`, which all lives of one supervisor share. `port` is the port that
    the life before served its health page on. `deaths` counts earlier lives by what ended them.
    """

    in_hand: InHand
    family: str
    name: str
    supervisor: int
    suspects: tuple[Suspect, ...] = ()
    port: int | None = None
    deaths: Counter[str] = field(default_factory=Counter)
    died_at_s: float | None = None  # of the monotonic clock: when the life before ended


_life: Life | None = None


def current_life() -> Life | None:
    """Return what this process was told by its supervisor, or None when it has none."""
    return _life


class Child:
    """One child, from its fork on. `resident_bytes` is what it had at the last look.

    It runs `work` and ends with what that returns. Its fault handler writes to the descriptor `traceback`.
    """

    def __init__(self, life: Life, work: Callable[[], int], traceback: int) -> None:
        self.life = life
        self.started_s = time.monotonic()
        self.resident_bytes = 0
        # What is loaded now is shared with the child as long as the collector leaves it alone.
        gc.freeze()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal between the fork and the child's own handlers would run ours, in the wrong process.
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        self.pid = os.fork()
        if self.pid == 0:
            _live(life, work, traceback)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def returned(self) -> bool:
        """Whether `work` came to its end in the child, with whatever code."""
        return self.life.in_hand.returned

    def stands_still(self) -> bool:
        """Whether somebody froze it (SIGSTOP, a debugger): then it is not at work."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:  # noqa: PTH123 -- asked ten times a second
                return file.read().rpartition(b")")[2].split()[0] in {b"T", b"t"}
        except (OSError, IndexError):
            return False


def _live(life: Life, work: Callable[[], int], traceback: int) -> NoReturn:
    """Be the child, to its end. Never returns into what called the supervisor."""
    global _life  # noqa: PLW0603 -- it is a fact of the process, like its id
    _life = life
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != life.supervisor:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (*PASSED_ON, signal.SIGCONT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        faulthandler.enable(traceback)
        code = work()
    except BaseException:  # noqa: BLE001 -- the process ends here; nobody above may hear of it
        sys.excepthook(*sys.exc_info())
    finally:
        life.in_hand.returned = True
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
