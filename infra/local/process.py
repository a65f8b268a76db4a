"""Programs that we started: spawn, wait until they answer, and end them by process id alone."""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from schemas.errors import ConfigurationError, OutageError

_POLL_S = 0.05
_LOG_TAIL_LINES = 12
# Below Linux's range of ephemeral ports. Inside it, a client that retries while the service is down can be given
# the very port that it dials, connect to itself, and keep the service from coming back.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nobody listens now."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OutageError("ports", "none of 200 ports tried on 127.0.0.1 is free")


def require_tool(name: str, why: str, install: str) -> str:
    """Return the path of a program, or raise ConfigurationError with one line that says how to install it."""
    path = shutil.which(name)
    if path is None:
        raise ConfigurationError(name, f"not found; {why} needs it: {install}")
    return path


@dataclass(frozen=True)
class ProcessId:
    """One process for certain: a process id alone may since have been given to another."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Record a process that runs now."""
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            process = psutil.Process(self.pid)
            return process if abs(process.create_time() - self.created) < 1 and _runs(process) else None
        except psutil.NoSuchProcess:
            return None

    def stop(self, timeout_s: float, signal: int) -> None:
        """Send `signal`, wait, and kill what has not gone by then, children included."""
        process = self.find()
        if process is not None:
            family = _family(process)
            process.send_signal(signal)
            _kill(_wait(family, timeout_s))

    def kill(self) -> None:
        """Kill -9, with its children, and wait until they have gone."""
        process = self.find()
        if process is not None:
            _kill(_family(process))


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _wait(processes, timeout_s=10)


def _wait(processes: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for processes to end, and return those that have not."""
    deadline = time.monotonic() + timeout_s
    left = [process for process in processes if _runs(process)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = [process for process in left if _runs(process)]
    return left


def _runs(process: psutil.Process) -> bool:
    """Whether it runs. A zombie does not: in a container nobody may ever collect it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def spawn(
    argv: Sequence[str | os.PathLike[str]],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    die_with_us: bool = False,
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, with what it prints appended to `log`.

    `die_with_us` ties its life to ours where the system can (setpriv, Linux), so that a test run which is itself
    killed leaves nothing behind.
    """
    setpriv = shutil.which("setpriv") if die_with_us else None
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    with log.open("ab") as output:
        return subprocess.Popen(
            [*prefix, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            user=user,
            start_new_session=True,
            cwd="/",
        )


def wait_until_ready(
    service: str, child: "subprocess.Popen[bytes]", ready: Callable[[], bool], log: Path, timeout_s: float
) -> None:
    """Poll `ready` until it is true. Raises OutageError with the log's end if the program ends or time is up."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if child.poll() is not None:
            raise OutageError(service, f"ended with status {child.returncode} at start\n{log_tail(log)}")
        if time.monotonic() > deadline:
            raise OutageError(service, f"does not answer after {timeout_s:.0f} s\n{log_tail(log)}")
        time.sleep(_POLL_S)


def log_tail(log: Path) -> str:
    """Return the last lines of a log file."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:])
