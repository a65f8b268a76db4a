"""Processes that are started again whenever they are gone, as an orchestrator would."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from tests.background import in_background
from tests.world import World, wait_for

_GAVE_UP = "gives up, to be started anew"


class Keeper:
    """One process, kept running. `name` stands in what is said about it."""

    def __init__(self, world: World, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.name = " ".join(arguments[:2] if arguments[0] == "sink" else arguments[:1])
        self._world = world
        self._arguments = arguments
        self._env = env
        self.running = world.start(*arguments, env=env)
        self.starts = 1

    def kill(self) -> None:
        """End it with kill -9, a worker's supervisor and its child together, and start another."""
        self.running.kill()
        self.tend()

    def kill_child(self) -> None:
        """End the process that works; its supervisor, where it has one, starts another."""
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            os.kill(self.running.working_pid, signal.SIGKILL)
        # One without a supervisor is itself that process.
        time.sleep(0.1)
        self.tend()

    def end(self) -> None:
        """Ask it to end; it stays so."""
        if self.running.process.poll() is None:
            self.running.terminate(30)

    def tend(self) -> None:
        """Start it again if it has ended."""
        if self.running.process.poll() is not None:
            self.running = self._world.start(*self._arguments, env=self._env)
            self.starts += 1

    def wait_for_death(self, what: str, timeout_s: float = 60) -> None:
        """Wait until it has killed itself, and start another that does not."""
        wait_for(lambda: self.running.process.poll() == -signal.SIGKILL, timeout_s, f"death of {self.name} at {what}")
        self._env = None
        self.tend()


def gave_up(world: World) -> int:
    """Return how many processes have ended themselves so far because a client of theirs was of no use any more."""
    return sum(log.read_text(encoding="utf-8").count(_GAVE_UP) for log in world.folder.glob("*.log"))


@contextmanager
def tending(kept: Sequence[Keeper]) -> Iterator[None]:
    """Start again what ends by itself, as long as the block lasts."""

    def tend(ended: threading.Event) -> None:
        while not ended.wait(0.5):
            for keeper in kept:
                keeper.tend()

    with in_background(tend):
        yield


def start_kept(world: World, workers: int = 1, *, replays: bool = False) -> list[Keeper]:
    """Start workers and both sinks."""
    names = [("worker",) if replays else ("worker", "--no-replay")] * workers + [
        ("sink", "postgres"),
        ("sink", "objects"),
    ]
    return [Keeper(world, *name, world.pipeline) for name in names]
