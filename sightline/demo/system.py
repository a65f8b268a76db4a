"""The demo's own sightline processes, as an operator would start them."""

import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schemas.errors import OutageError
from sightline.demo.tethered import arguments
from sightline.runtime.services.lifeline import Child

WORKER, ROWS, OBJECTS = "worker", "sink-postgres", "sink-objects"
_COMMANDS = {WORKER: ("worker",), ROWS: ("sink", "postgres"), OBJECTS: ("sink", "objects")}
_START_TIMEOUT_S = 30.0
_ASK_EVERY_S = 0.05


class System:
    """One worker and both sinks of a pipeline, started one by one, until `stop`. Each has a log in `logs`."""

    def __init__(self, pipeline: str, logs: Path) -> None:
        self._pipeline = pipeline
        self._logs = logs
        self._children: dict[str, Child] = {}
        self._pages: dict[str, str] = {}

    def start(self, name: str, settings: Mapping[str, str]) -> None:
        """Start a process, and return at once."""
        command = [*_COMMANDS[name], self._pipeline, "--http-port", "0"]
        child = Child(name, "sightline.demo.tethered", arguments(settings, command), self._logs / f"{name}.log")
        self._children[name] = child
        child.start()

    def page(self, name: str) -> str:
        """Return the address of a process's metrics and health pages; at first, wait until it serves them.

        Raises OutageError, with the end of its log, when it does not come up. One thread at a time for each name.
        """
        if name not in self._pages:
            self._pages[name] = self._children[name].address(_START_TIMEOUT_S).split("/metrics", 1)[0]
        return self._pages[name]

    def wait_ready(self, name: str) -> None:
        """Wait until a process has its partitions and can publish. Raises OutageError when it takes too long."""
        until = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.page(name)}/health/ready", timeout=_START_TIMEOUT_S):  # noqa: S310 -- our own http address
                    return
            except urllib.error.HTTPError:
                time.sleep(_ASK_EVERY_S)
            except OSError as error:
                raise OutageError(name, "the process has ended") from error
        raise OutageError(name, f"not ready within {_START_TIMEOUT_S:.0f} s")

    def stop(self) -> None:
        """End all of them, side by side; may be called more than once, and half-way through a start."""
        with ThreadPoolExecutor(len(_COMMANDS)) as pool:
            list(pool.map(Child.stop, self._children.values()))
