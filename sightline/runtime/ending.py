"""The end of the process, also while a thread of it is deep in native code.

Python's own end cuts daemon threads off when they come back from native code. Where that is C++, as a model that is
being loaded, the process aborts instead of giving its exit code.
"""

import logging
import os
import sys
import threading
from typing import Final, NoReturn
from weakref import WeakSet

_native: Final[WeakSet[threading.Thread]] = WeakSet()


def note_native(thread: threading.Thread) -> None:
    """Note a daemon thread that may be in native code when the process ends."""
    _native.add(thread)


def end_process(code: int) -> NoReturn:
    """End with an exit code: at once, without what is registered for the exit, where a thread that was noted lives."""
    if any(thread.is_alive() for thread in _native):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
