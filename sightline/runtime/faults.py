"""Named points where a test may kill the process, in the windows where a crash could lose or double.

A point that is not asked for costs one comparison. The setting is `fault.point`, `NAME:N`; `NAME:N:freeze` stops the
process, as `kill -STOP` does, until somebody continues it.
"""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterable
from typing import Final

from schemas.errors import ConfigurationError

AFTER_PRODUCE: Final = "after-produce"  # messages handed to the producer, not acknowledged
AFTER_ACKNOWLEDGE: Final = "after-acknowledge"  # all acknowledged, offset not committed
AFTER_DATABASE: Final = "after-database"  # rows committed, offset not
AFTER_OBJECT: Final = "after-object"  # objects written, offset not committed
IN_REVOKE: Final = "in-revoke"  # partitions are being taken away
IN_TRANSACTION: Final = "in-transaction"  # messages acknowledged, no offsets sent with them
BEFORE_COMMIT: Final = "before-commit"  # offsets sent too, the transaction not committed
REDRIVE_CLAIMED: Final = "redrive-claimed"  # dead letters claimed, none sent
REDRIVE_SENT: Final = "redrive-sent"  # sent and acknowledged, their transaction open
REDRIVE_COMMITTED: Final = "redrive-committed"  # their transaction committed, their state not saved
REPLAY_ACKNOWLEDGED: Final = "replay-acknowledged"  # a replay's frame is acknowledged, its progress not saved
REPLAY_SAVED: Final = "replay-saved"  # a replay's progress is saved, more is on its way
REPLAY_COMMAND_DONE: Final = "replay-command-done"  # a command for a replay is carried out, its answer not saved
POINTS: Final = (
    AFTER_PRODUCE,
    AFTER_ACKNOWLEDGE,
    AFTER_DATABASE,
    AFTER_OBJECT,
    IN_REVOKE,
    IN_TRANSACTION,
    BEFORE_COMMIT,
    REDRIVE_CLAIMED,
    REDRIVE_SENT,
    REDRIVE_COMMITTED,
    REPLAY_ACKNOWLEDGED,
    REPLAY_SAVED,
    REPLAY_COMMAND_DONE,
)

# Markers that a picture may carry.
CRASHING: Final = b"sightline-fault-crash"  # a segmentation fault
HANGING: Final = b"sightline-fault-hang"  # native code that does not come back
HUNGRY: Final = b"sightline-fault-memory"  # takes memory until somebody does something
KILLING: Final = b"sightline-fault-kill"  # worker and supervisor are killed together
_MOUTHFUL_BYTES: Final = 16 * 1024 * 1024
_APPETITE_BYTES: Final = 2 * 1024 * 1024 * 1024
_DIGESTION_S: Final = 5.0


class Faults:
    """The fault point of this process, if any, and the pictures that do harm, if they may.

    With a `supervisor`, that process is killed too: a worker is both of them.
    """

    def __init__(self, point: str | None, *, pictures: bool = False, supervisor: int | None = None) -> None:
        name, _, rest = (point or "").partition(":")
        count, colon, how = rest.partition(":")
        counts = count.isascii() and count.isdigit() and int(count) > 0
        if point and (name not in POINTS or not counts or (colon and how != "freeze")):
            raise ConfigurationError("SIGHTLINE_FAULT_POINT", f"wants NAME:N with NAME one of {', '.join(POINTS)}")
        self._name = name
        self._signal = signal.SIGSTOP if colon else signal.SIGKILL
        self._left = int(count) if point else 0
        self._lock = threading.Lock()
        self._pictures = pictures
        self._family = [os.getpid()] if supervisor is None else [supervisor, os.getpid()]

    def passing(self, name: str) -> None:
        """Kill or freeze this process at once, if this is the pass that was asked for."""
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._send(self._signal)

    def meet(self, values: Iterable[bytes | None]) -> None:
        """Do what a marker in one of the pictures says, if pictures may; called where they are decoded."""
        if not self._pictures:
            return
        for value in values:
            if CRASHING in (value or b""):
                ctypes.string_at(0)  # reads address 0, in C
            if HANGING in (value or b""):
                # Through PyDLL it keeps the interpreter's lock, as the worst of native code does.
                ctypes.PyDLL(None).sleep(3600)
            if HUNGRY in (value or b""):
                eaten: list[bytes] = []
                while len(eaten) * _MOUTHFUL_BYTES < _APPETITE_BYTES:
                    eaten.append(b"\1" * _MOUTHFUL_BYTES)
                time.sleep(_DIGESTION_S)
            if KILLING in (value or b""):
                self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        # The supervisor passes on what continues a process, so only this one is frozen.
        for pid in self._family if number == signal.SIGKILL else self._family[-1:]:
            os.kill(pid, number)
