"""Named points where a test may kill the process, in the windows where a crash could lose or double.

A point that is not asked for costs one comparison. The setting is `fault.point`, `NAME:N`.
"""

import os
import signal
import threading
from typing import Final

from schemas.errors import ConfigurationError

AFTER_PRODUCE: Final = "after-produce"  # messages handed to the producer, not acknowledged
AFTER_ACKNOWLEDGE: Final = "after-acknowledge"  # all acknowledged, offset not committed
AFTER_DATABASE: Final = "after-database"  # rows committed, offset not
AFTER_OBJECT: Final = "after-object"  # objects written, offset not committed
IN_REVOKE: Final = "in-revoke"  # partitions are being taken away
POINTS: Final = (AFTER_PRODUCE, AFTER_ACKNOWLEDGE, AFTER_DATABASE, AFTER_OBJECT, IN_REVOKE)


class Faults:
    """The fault point of this process, if any."""

    def __init__(self, point: str | None) -> None:
        name, _, count = (point or "").partition(":")
        if point and (name not in POINTS or not count.isascii() or not count.isdigit() or int(count) < 1):
            raise ConfigurationError("SIGHTLINE_FAULT_POINT", f"wants NAME:N with NAME one of {', '.join(POINTS)}")
        self._name = name
        self._left = int(count) if point else 0
        self._lock = threading.Lock()

    def passing(self, name: str) -> None:
        """Kill this process at once, as `kill -9` does, if this is the pass that was asked for."""
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
