"""Runs a sink behind the consumer loop: records in, rows or objects stored, offsets committed after that.

In this order, for each batch:

1. read the records into entries; what cannot be read leaves as a dead letter;
2. store the entries; poison is isolated and leaves as dead letters;
3. publish those dead letters and whatever alerts the sink raised, and wait for their acknowledgement;
4. only then finish the records, so that their offsets may be committed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from schemas import topics
from schemas.errors import InputError, SetupError
from sightline.runtime import metrics
from sightline.runtime.faults import Faults
from sinks.isolate import store_isolating
from sinks.protocol import Sink, SinkRecord, StoreReport
from streams.alerts import Alarm
from streams.deadletters import DeadLetters
from streams.tracker import Record

Entry = TypeVar("Entry")


@dataclass(slots=True)
class ReadBatch(Generic[Entry]):
    """A batch of records, read: entries to store with the record of each, and what could not be read."""

    entries: list[Entry] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    rejected: list[tuple[Record, InputError]] = field(default_factory=list)


class SinkHandler(Generic[Entry]):
    """One sink for one group, behind `streams.loop.Loop`. `fault_point` lies between storing and finishing.

    `pipeline` is whose dead letters take what comes of a topic that is no pipeline's, such as `alerts`. `label` stands
    in metrics where a pipeline would.
    """

    def __init__(
        self,
        sink: Sink[Entry],
        name: str,
        pipeline: str,
        *,
        label: str,
        dead_letters: DeadLetters,
        alarm: Alarm,
        faults: Faults,
        fault_point: str,
    ) -> None:
        self._sink = sink
        self._name = name
        self._pipeline = pipeline
        self._label = label
        self._dead_letters = dead_letters
        self._alarm = alarm
        self._faults = faults
        self._fault_point = fault_point

    def prepare(self, records: Sequence[Record]) -> ReadBatch[Entry]:
        """Read the records (step 1), while the batch before is being stored."""
        batch: ReadBatch[Entry] = ReadBatch()
        for record in records:
            try:
                batch.entries.append(self._sink.read(_sink_record(record)))
                batch.records.append(record)
            except InputError as error:
                batch.rejected.append((record, error))
        return batch

    def deliver(self, _: Sequence[Record], prepared: ReadBatch[Entry]) -> None:
        """Store, report, finish (steps 2 to 4). Raises OutageError when the store is away; nothing is finished then."""
        report, isolated = store_isolating(self._sink, prepared.entries)
        self._faults.passing(self._fault_point)
        errors = {id(entry): error for entry, error in isolated}
        pairs = [
            (record, errors.get(id(entry))) for record, entry in zip(prepared.records, prepared.entries, strict=True)
        ]
        rejected = prepared.rejected + [(record, error) for record, error in pairs if error is not None]
        self._insist_on_dead_letters([record for record, _ in rejected])
        self._count(report)
        self._alarm.raise_alerts(report.alerts, lambda: _finish(record for record, error in pairs if error is None))
        for record, error in rejected:
            pipeline = topics.pipeline_of(record.topic) or self._pipeline
            self._dead_letters.send(pipeline, record, error, record.finish)

    def _insist_on_dead_letters(self, rejected: Sequence[Record]) -> None:
        """Wait when a dead letter is rejected: it must not breed another, nor be dropped, so somebody has to look."""
        for record in rejected:
            if record.topic.startswith(f"{topics.DEAD_LETTERS}."):
                raise SetupError(
                    self._name, f"{record.topic}/{record.partition} offset {record.offset} cannot be stored"
                )

    def _count(self, report: StoreReport) -> None:
        labels = (self._name, self._label)
        metrics.ROWS_STORED.labels(*labels).inc(report.stored)
        metrics.ROWS_REPEATED.labels(*labels).inc(report.repeated)
        metrics.ROWS_DIFFERING.labels(*labels).inc(report.differing)
        metrics.EVENT_IDS_REUSED.labels(self._label).inc(report.reused)


def _finish(records: Iterable[Record]) -> None:
    for record in records:
        record.finish()


def _sink_record(record: Record) -> SinkRecord:
    return SinkRecord(
        record.topic, record.partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
    )
