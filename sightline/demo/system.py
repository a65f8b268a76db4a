"""The demo's own sightline processes, as an operator would start them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sightline.demo.tethered import arguments
from sightline.runtime.services.lifeline import Child

WORKER, ROWS, OBJECTS = "worker", "sink-postgres", "sink-objects"
_COMMANDS = {WORKER: ("worker",), ROWS: ("sink", "postgres"), OBJECTS: ("sink", "objects")}
_START_TIMEOUT_S = 30.0


class System:
    """One worker and both sinks of a pipeline, from `start` to `stop`, each with a log in `logs`."""

    def __init__(self, pipeline: str, settings: Mapping[str, str], logs: Path) -> None:
        self._children = {
            name: Child(
                name,
                "sightline.demo.tethered",
                arguments(settings, [*command, pipeline, "--http-port", "0"]),
                logs / f"{name}.log",
            )
            for name, command in _COMMANDS.items()
        }
        self.pages: dict[str, str] = {}

    def start(self) -> None:
        """Start all of them side by side; `pages` then has the address of each one's metrics and health pages.

        Raises OutageError, with the end of its log, when one does not come up.
        """
        for child in self._children.values():
            child.start()
        for name, child in self._children.items():
            self.pages[name] = child.address(_START_TIMEOUT_S).split("/metrics", 1)[0]

    def stop(self) -> None:
        """End all of them, side by side; may be called more than once, and half-way through `start`."""
        with ThreadPoolExecutor(len(self._children)) as pool:
            list(pool.map(Child.stop, self._children.values()))
