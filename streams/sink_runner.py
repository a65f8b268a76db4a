"""Runs a sink behind the consumer loop: records in, rows or objects stored, offsets committed after that.

In this order, for each batch:

1. read the records into entries; what cannot be read leaves as a dead letter;
2. store the entries; poison is isolated and leaves as dead letters;
3. publish those dead letters and whatever alerts the sink raised, and wait for their acknowledgement;
4. only then finish the records, so that their offsets may be committed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from schemas import topics
from schemas.errors import InputError, OutageError, SetupError
from sightline.runtime import metrics
from sightline.runtime.faults import Faults
from sinks.isolate import store_isolating
from sinks.protocol import Sink, SinkRecord, StoreReport
from streams.alerts import Alarm
from streams.deadletters import DeadLetters
from streams.offsets import LostRange
from streams.tracker import Record

Entry = TypeVar("Entry")


@dataclass(slots=True)
class ReadBatch(Generic[Entry]):
    """A batch of records, read: entries to store with the record of each, and what could not be read."""

    entries: list[Entry] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    rejected: list[tuple[Record, InputError]] = field(default_factory=list)


class SinkHandler(Generic[Entry]):
    """One sink for one group, behind `streams.loop.Loop`. `fault_point` lies between storing and finishing."""

    def __init__(
        self,
        sink: Sink[Entry],
        name: str,
        pipeline: str | None,
        *,
        dead_letters: DeadLetters,
        alarm: Alarm,
        faults: Faults,
        fault_point: str,
    ) -> None:
        self._sink = sink
        self._name = name
        self._pipeline = pipeline
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
        self._count(report)
        poison = {id(entry): error for entry, error in isolated}
        pairs = list(zip(prepared.records, prepared.entries, strict=True))
        stored = [record for record, entry in pairs if id(entry) not in poison]
        self._alarm.raise_alerts(report.alerts, lambda: _finish(stored))
        isolated_records = [(record, poison[id(entry)]) for record, entry in pairs if id(entry) in poison]
        for record, error in [*prepared.rejected, *isolated_records]:
            self._reject(record, error)

    def lost(self, lost: LostRange, on_reported: Callable[[], None]) -> None:
        """See `Handler.lost`."""
        self._alarm.lost(lost, on_reported)

    def blocked(self, outage: OutageError) -> None:
        """See `Handler.blocked`."""
        self._alarm.blocked(outage)

    def _reject(self, record: Record, error: InputError) -> None:
        pipeline = topics.pipeline_of(record.topic) or self._pipeline
        if pipeline is None or record.topic == topics.dead_letters(pipeline):
            # A dead letter must not breed another, nor be dropped: somebody has to look.
            raise SetupError(self._name, f"a record of {record.topic} cannot be stored: {error.code.value}")
        self._dead_letters.send(pipeline, record, error, record.finish)

    def _count(self, report: StoreReport) -> None:
        labels = (self._name, self._pipeline or "")
        metrics.ROWS_STORED.labels(*labels).inc(report.stored)
        metrics.ROWS_REPEATED.labels(*labels).inc(report.repeated)
        metrics.ROWS_DIFFERING.labels(*labels).inc(report.differing)
        metrics.EVENT_IDS_REUSED.labels(self._pipeline or "").inc(report.reused)


def _finish(records: Sequence[Record]) -> None:
    for record in records:
        record.finish()


def _sink_record(record: Record) -> SinkRecord:
    return SinkRecord(
        record.topic, record.partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
    )
