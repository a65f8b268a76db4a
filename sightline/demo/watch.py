"""Watches how far the demo's processes are: over their own pages, in the database, among the objects."""

import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, func, select

from schemas import topics
from schemas.errors import OutageError, SightlineError
from sightline.demo.system import OBJECTS, ROWS, WORKER, System
from sightline.demo.tally import Tally
from sightline.runtime.database import transaction
from sightline.runtime.objectstore import ObjectStore
from sinks.postgres.tables import dead_letters, results

_EVERY_S = 0.3
_PAGE_TIMEOUT_S = 3.0
_FINISHED = "sightline_records_finished"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far storing is. `stored` counts the records that the slower one of the two sinks has stored."""

    rows: int = 0
    objects: int = 0
    stored: int = 0


class Watch:
    """Looks several times a second, from `start` to `stop`. `failure` says that a process or service is gone."""

    def __init__(
        self,
        pipeline: str,
        system: System,
        engine: Engine,
        store: ObjectStore,
        tally: Tally,
        *,
        since: datetime,
    ) -> None:
        self._pipeline = pipeline
        self._system = system
        self._engine = engine
        self._store = store
        self._tally = tally
        self._since = since
        self._found: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_often, name="watch", daemon=True)
        self.progress = Progress()
        self.failure: SightlineError | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def stored(self) -> int:
        """Return how many records the slower sink has stored."""
        return self.progress.stored

    def _look_often(self) -> None:
        try:
            while not self._stop.is_set():
                self.progress = Progress(self._rows(), self._objects(), self._stored())
                self._stop.wait(_EVERY_S)
        except SightlineError as error:
            self.failure = error

    def _rows(self) -> int:
        with transaction(self._engine) as connection:
            return sum(
                connection.scalar(
                    select(func.count())
                    .select_from(table)
                    .where(table.c.pipeline == self._pipeline, table.c.ingested_at >= self._since)
                )
                or 0
                for table in (results, dead_letters)
            )

    def _objects(self) -> int:
        missing = self._tally.object_keys() - self._found
        self._found |= {key for key in missing if self._store.stat(key) is not None}
        return len(self._found)

    def _stored(self) -> int:
        self._page(WORKER)  # tells when it has ended
        return min(_finished(self._page(name), self._pipeline, name) for name in (ROWS, OBJECTS))

    def _page(self, name: str) -> str:
        """Fetch a process's metrics: its pages live as long as it does. One that is merely slow is asked again."""
        while True:
            try:
                with urllib.request.urlopen(f"{self._system.page(name)}/metrics", timeout=_PAGE_TIMEOUT_S) as answer:  # noqa: S310 -- an http address of our own process
                    return str(answer.read().decode())
            except urllib.error.URLError as error:
                if not isinstance(error.reason, TimeoutError):
                    raise OutageError(name, "the process has ended") from error
            except TimeoutError:
                continue


def _finished(page: str, pipeline: str, process: str) -> int:
    """Count the records that a process has finished, on whatever topics."""
    group = topics.group(process, pipeline)
    return round(
        sum(
            sample.value
            for family in text_string_to_metric_families(page)
            if family.name == _FINISHED
            for sample in family.samples
            if sample.name == f"{_FINISHED}_total" and sample.labels.get("group") == group
        )
    )
