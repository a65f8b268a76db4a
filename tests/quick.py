"""Short commands in processes of their own that need not import anything: 0.1 s instead of 3 s each.

A host process imports the command line once, opens nothing, and forks for each command: a real process, with an
environment, output and exit code of its own, that can be killed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.world import ROOT, World

_TIMEOUT_S = 120


class Command:
    """A command that runs, or ran."""

    def __init__(self, host: "Host", pid: int, folder: Path) -> None:
        self._host = host
        self._pid = pid
        self._folder = folder
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative where a signal ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = self._host.ask({"poll": self._pid})
        return self.returncode

    def wait(self, timeout_s: float = _TIMEOUT_S) -> int:
        """Wait for the end and return the exit code."""
        deadline = time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"not ended within {timeout_s} s: {self.said('err')}"
            time.sleep(0.02)
        return code

    def kill(self) -> None:
        """End it as `kill -9` does, if it runs still."""
        if self.poll() is None:
            os.kill(self._pid, signal.SIGKILL)
            self.wait()

    def said(self, stream: str = "out") -> str:
        """Return what it wrote to `out` or `err`."""
        return (self._folder / stream).read_text(encoding="utf-8")


class Host:
    """The process that forks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.quick"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )

    def start(self, world: World, *arguments: str, env: Mapping[str, str] | None = None) -> Command:
        """Start `sightline …`."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        for stream in ("out", "err"):
            (folder / stream).touch()
        job = {"run": arguments, "env": {**world.env, **(env or {})}, "folder": str(folder)}
        return Command(self, int(self.ask(job)), folder)

    def run(self, world: World, *arguments: str, expect: int = 0) -> str:
        """Run a command to its end and return what it printed."""
        command = self.start(world, *arguments)
        assert command.wait() == expect, (command.returncode, command.said(), command.said("err"))
        return command.said()

    def ask(self, job: Mapping[str, Any]) -> Any:
        """Have the host do something, and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the host, and what it forked."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(_TIMEOUT_S)


@contextmanager
def make_host() -> Iterator[Host]:
    """Yield a host."""
    with tempfile.TemporaryDirectory(prefix="sightline-quick-") as folder:
        host = Host(Path(folder))
        try:
            yield host
        finally:
            host.close()


def _serve(jobs: IO[str], answers: IO[str]) -> None:
    running: set[int] = set()
    for line in jobs:
        job = json.loads(line)
        if "run" in job:
            answer: int | None = _fork(job)
            running.add(answer or 0)
        else:
            answer = _poll(job["poll"])
            if answer is not None:
                running.discard(job["poll"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in running:  # whoever started them is gone, or wants no more of them
        os.kill(pid, signal.SIGKILL)


def _fork(job: Mapping[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(job["folder"]) / name, os.O_WRONLY), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(job["env"])
    code = 70
    try:
        code = exit_code(job["run"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


if __name__ == "__main__":
    import sightline.cli.replay  # noqa: F401 -- what most of the commands need
    from sightline.cli.main import exit_code

    _serve(sys.stdin, sys.stdout)
