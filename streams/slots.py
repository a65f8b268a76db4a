"""A name for this process among those of its machine that a process started after it can take over.

A transaction that was left open by a killed worker ends at once when its transactional id comes back; under any other
id it stays until its time is over, and readers of committed records stand still before it.
"""

import fcntl
import os
import socket
import tempfile
from itertools import count
from pathlib import Path


def take_slot(group: str) -> str:
    """Return `<machine>-<number>`: the lowest number that no process of this machine and user holds for `group`."""
    folder = Path(tempfile.gettempdir()) / f"sightline-slots-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in count():
        # Never closed: it is locked until this process ends, however it ends.
        lock = os.open(folder / f"{group}-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return f"{socket.gethostname()}-{number}"
    raise AssertionError("numbers do not end")
