"""The demo's own sightline processes, as an operator would start them."""

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schemas.errors import OutageError
from sightline.demo.tethered import arguments
from sightline.runtime.services.lifeline import Child

WORKER, MODELS, ROWS, OBJECTS = "worker", "worker-models", "sink-postgres", "sink-objects"
_START_TIMEOUT_S = 30.0
# Loading the models of eight pipelines takes seconds, and many where the machine has other work.
_READY_TIMEOUT_S = 120.0
_PAGE_TIMEOUT_S = 3.0
_ASK_EVERY_S = 0.1


class System:
    """Workers and sinks, started one by one, until `stop`. Each has a log in `logs`.

    One worker is for `plain`, one for the pipelines of `with_models`, and the sinks are for all of them.
    """

    def __init__(self, plain: str, with_models: Sequence[str], logs: Path) -> None:
        everything = (plain, *with_models)
        self._commands = {
            WORKER: ("worker", plain),
            MODELS: ("worker", *with_models),
            ROWS: ("sink", "postgres", *everything),
            OBJECTS: ("sink", "objects", *everything),
        }
        self._logs = logs
        self._children: dict[str, Child] = {}
        self._pages: dict[str, str] = {}
        self._workers: list[str] = []

    def start(self, name: str, settings: Mapping[str, str]) -> None:
        """Start a process, and return at once."""
        command = [*self._commands[name], "--http-port", "0"]
        child = Child(name, "sightline.demo.tethered", arguments(settings, command), self._logs / f"{name}.log")
        self._children[name] = child
        child.start()

    def page(self, name: str, path: str) -> str | None:
        """Fetch one of a process's pages; at first, wait until it serves them. None: it refuses, or is merely slow.

        Raises OutageError when the process does not come up, or has ended. One thread at a time for each name.
        """
        if name not in self._pages:
            self._pages[name] = self._children[name].address(_START_TIMEOUT_S).split("/metrics", 1)[0]
        try:
            with urllib.request.urlopen(f"{self._pages[name]}/{path}", timeout=_PAGE_TIMEOUT_S) as answer:  # noqa: S310 -- an http address of our own process
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            refused.close()
            return None
        except TimeoutError:
            return None
        except (OSError, http.client.HTTPException) as error:
            # A process that is killed while it answers breaks the connection in the midst of the page.
            if isinstance(error, urllib.error.URLError) and isinstance(error.reason, TimeoutError):
                return None
            raise OutageError(name, "the process has ended") from error

    def wait_ready(self, name: str, stop: threading.Event) -> bool:
        """Wait until a worker has its partitions and can publish; return False when `stop` is set before.

        Raises OutageError when it takes too long. From then on `workers` names it.
        """
        until = time.monotonic() + _READY_TIMEOUT_S
        while self.page(name, "health/ready") is None:
            if time.monotonic() > until:
                raise OutageError(name, f"not ready within {_READY_TIMEOUT_S:.0f} s")
            if stop.wait(_ASK_EVERY_S):
                return False
        self._workers.append(name)
        return True

    def workers(self) -> tuple[str, ...]:
        """Return the workers that have been ready."""
        return tuple(self._workers)

    def stop(self) -> None:
        """End all of them, side by side; may be called more than once, and half-way through a start."""
        with ThreadPoolExecutor(len(self._commands)) as pool:
            list(pool.map(Child.stop, list(self._children.values())))
