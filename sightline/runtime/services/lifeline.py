"""The two ends of a service that runs in a process of its own and must not outlive us.

The child prints its address as one line on standard output and lives until its standard input ends, which happens
when the parent closes it and also when the parent dies in any way. SIGTERM ends it as well.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from schemas.errors import OutageError


def hold_open(address: str) -> None:
    """In the child: announce `address`, then block until the parent is gone. SIGTERM raises SystemExit."""
    signal.signal(signal.SIGTERM, _leave)
    sys.stdout.write(address + "\n")
    sys.stdout.flush()
    # Not sys.stdin.read(): os.read holds no lock that the interpreter would want at exit.
    while os.read(sys.stdin.fileno(), 1024):
        pass


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


class Child:
    """The parent's end: one Python module in a process of its own.

    `start` returns at once, `address` blocks until the child has printed it, `stop` ends the child and never raises
    for one that has ended already.
    """

    def __init__(self, service: str, module: str, arguments: Sequence[str], log: Path) -> None:
        self._service = service
        self._argv = [sys.executable, "-m", module, *arguments]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None before `start` and after `stop`."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the child in a session of its own: Ctrl-C in a terminal must reach us first, not what we need."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )

    def address(self, timeout_s: float) -> str:
        """Wait for the child's line. Raises OutageError, with the end of its log, when it ends or takes longer."""
        process = self._started()
        assert process.stdout is not None  # noqa: S101 - opened as a pipe above
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        try:
            line = process.stdout.readline().decode().strip()
        finally:
            timer.cancel()
            timer.join()
        if not line:
            tail = self._log.read_text(errors="replace")[-1500:].strip()
            raise OutageError(self._service, f"did not start within {timeout_s:.0f} s; {self._log} ends with:\n{tail}")
        return line

    def stop(self, timeout_s: float = 10.0) -> None:
        """Close the child's standard input, wait, and kill it when it has not ended after `timeout_s`."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with process:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise OutageError(self._service, "was not started")
        return self._process
