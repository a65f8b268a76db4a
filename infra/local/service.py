"""What every local service has in common: its folder, its process, and the four verbs."""

import signal
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.process import ProcessId, spawn, wait_until_ready
from schemas.errors import OutageError

if TYPE_CHECKING:
    import subprocess


class LocalService(ABC):
    """One program with its data in `folder`, listening on `port` of 127.0.0.1.

    Folder and port stay the same over any number of `start`, `stop` and `kill`, so clients see outages and nothing
    else. `die_with_us` is for tests: see `spawn`. Not for use from several threads at once.
    """

    name: str
    stop_signal: int = signal.SIGTERM
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 20.0

    def __init__(self, folder: Path, port: int, *, die_with_us: bool = False) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.process: ProcessId | None = None
        self._die_with_us = die_with_us
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file that holds what the program printed."""
        return self.folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process that we started, or were told of, still runs."""
        return self.process is not None and self.process.find() is not None

    def start(self) -> None:
        """Start and wait until it answers; does nothing when it runs already.

        Raises ConfigurationError when a tool is missing, OutageError when the service does not come up.
        """
        if not self.running:
            self.launch()
            self.wait_until_up()

    def launch(self) -> None:
        """Start without waiting: members of a cluster answer only once there are enough of them.

        With `die_with_us` its life is tied to the calling thread: call from one that lives on.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._child = spawn(
            self.command(), self.log, env=self.environment(), user=self.user(), die_with_us=self._die_with_us
        )
        self.process = ProcessId.of(self._child.pid)

    def wait_until_up(self) -> None:
        """Wait until what `launch` started answers. Raises OutageError when it does not come up."""
        if self._child is None:
            raise OutageError(self.name, "was not started here")
        try:
            wait_until_ready(self.name, self._child, self.answers, self.log, self.start_timeout_s)
            self.settle()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end and wait; kill it when it has not ended after `stop_timeout_s`."""
        if self.process is not None:
            self.process.stop(self.stop_timeout_s, self.stop_signal)
        self._gone()

    def kill(self) -> None:
        """End it as an outage does: SIGKILL, nothing flushed."""
        if self.process is not None:
            self.process.kill()
        self._gone()

    def freeze(self) -> None:
        """Stop it in the middle of what it does, as a machine without a breath of time does: SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        process = None if self.process is None else self.process.find()
        if process is not None:
            process.send_signal(number)

    def attach(self, process: ProcessId) -> None:
        """Take over a process that an earlier run started and wrote down."""
        self.process = process

    def _gone(self) -> None:
        if self.running:
            raise OutageError(self.name, "is still running after SIGKILL")
        if self._child is not None:
            self._child.wait(timeout=10)
        self.process = None
        self._child = None

    @abstractmethod
    def prepare(self) -> None:
        """Make data folders and configuration; called before each start, with the folder there."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program with its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client gets an answer now. Returns within a second or two and never raises."""

    @abstractmethod
    def settle(self) -> None:
        """Do what needs the service to be up, such as making a bucket; called after each start."""

    def environment(self) -> dict[str, str]:
        """Return variables to add to our own environment."""
        return {}

    def user(self) -> str | None:
        """Return the system user to run as; None for ours."""
        return None
