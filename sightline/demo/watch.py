"""Watches how far the demo's processes are: over their own pages, in the database, among the objects."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, func, select

from schemas import topics
from sightline.demo.system import OBJECTS, ROWS, System
from sightline.demo.tally import Place, Tally
from sightline.runtime.database import transaction
from sightline.runtime.objectstore import ObjectStore
from sinks.postgres.tables import dead_letters, results

_EVERY_S = 0.3
_FINISHED = "sightline_records_finished_total"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far storing is. `stored` counts the records that a sink has stored of a pipeline."""

    rows: int = 0
    objects: int = 0
    stored: Mapping[Place, int] = field(default_factory=dict)


class Watch:
    """Looks several times a second."""

    def __init__(
        self,
        pipelines: Sequence[str],
        system: System,
        engine: Engine,
        store: ObjectStore,
        tally: Tally,
        *,
        since: datetime,
    ) -> None:
        self._groups = {
            topics.group(sink, pipeline): (sink, pipeline) for sink in (ROWS, OBJECTS) for pipeline in pipelines
        }
        self._pipelines = pipelines
        self._system = system
        self._engine = engine
        self._store = store
        self._tally = tally
        self._since = since
        self._found: set[str] = set()
        self.progress = Progress()

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`. Raises OutageError when a process or service is gone."""
        while not stop.is_set():
            for worker in self._system.workers():
                self._system.page(worker, "health/live")  # raises when it has ended
            self.progress = Progress(self._rows(), self._objects(), self._stored())
            stop.wait(_EVERY_S)

    def stored(self) -> Mapping[Place, int]:
        """Return how many records each sink has stored of each pipeline."""
        return self.progress.stored

    def _rows(self) -> int:
        with transaction(self._engine) as connection:
            return sum(
                connection.scalar(
                    select(func.count())
                    .select_from(table)
                    .where(table.c.pipeline.in_(self._pipelines), table.c.ingested_at >= self._since)
                )
                or 0
                for table in (results, dead_letters)
            )

    def _objects(self) -> int:
        missing = self._tally.object_keys() - self._found
        self._found |= {key for key in missing if self._store.stat(key) is not None}
        return len(self._found)

    def _stored(self) -> Mapping[Place, int]:
        stored = dict(self.progress.stored)
        for sink in (ROWS, OBJECTS):
            page = self._system.page(sink, "metrics")
            if page is not None:
                stored.update(_finished(page, self._groups))
        return stored


def _finished(page: str, groups: Mapping[str, Place]) -> dict[Place, int]:
    """Count the records that each group has finished, on whatever topics."""
    # Reading the whole page takes a tenth of a core, and this is all that is wanted of it.
    wanted = "\n".join(line for line in page.splitlines() if line.startswith(_FINISHED)) + "\n"
    counts: dict[Place, int] = {}
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            place = groups.get(sample.labels.get("group", ""))
            if place is not None:
                counts[place] = counts.get(place, 0) + round(sample.value)
    return counts
