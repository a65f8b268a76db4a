"""Where `sightline deadletters` looks: the database, or the topic itself. Both give the same rows."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Protocol

from confluent_kafka import TopicPartition

from schemas import topics
from schemas.errors import ConfigurationError
from schemas.identity import sha256_hex
from sightline.runtime.database import database_engine
from sightline.runtime.objectstore import ObjectNotFoundError, open_store
from sightline.runtime.settings import KafkaSettings, Settings
from sinks.objects.keys import dead_letter_key
from sinks.postgres.deadletter_actions import actions_of
from sinks.postgres.deadletter_stats import DeadLetterCount, count_dead_letters, sort_counts
from sinks.postgres.read import read_dead_letter
from sinks.postgres.reader import DeadLetterFilter, find_dead_letter, list_dead_letters
from sinks.protocol import SinkRecord
from streams.read import Edge, TopicRecord, read_records, read_to_end

Row = Mapping[str, Any]
_MAX_BYTES = 1024 * 1024 * 1024
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class DeadLetterSource(Protocol):
    """Finds dead letters. Raises OutageError when it cannot be reached."""

    def select(self, wanted: DeadLetterFilter, limit: int | None) -> list[Row]:
        """Return dead letters, the newest first; up to `limit`, or all."""
        ...

    def find(self, dl_id: str) -> Row | None:
        """Return one dead letter, or None."""
        ...

    def actions(self, dl_id: str) -> list[Row]:
        """Return what was done to a dead letter, the oldest first; nothing where that is not known."""
        ...

    def count(self, wanted: DeadLetterFilter) -> list[DeadLetterCount]:
        """Count by day, code, stage and source; the newest day first, then the largest count."""
        ...


class DatabaseSource:
    """The table `dead_letters`."""

    def __init__(self, url: str) -> None:
        self._engine = database_engine(url, application_name="sightline-cli")

    def select(self, wanted: DeadLetterFilter, limit: int | None) -> list[Row]:
        """See `DeadLetterSource.select`."""
        return list_dead_letters(self._engine, wanted, limit)

    def find(self, dl_id: str) -> Row | None:
        """See `DeadLetterSource.find`."""
        return find_dead_letter(self._engine, dl_id)

    def actions(self, dl_id: str) -> list[Row]:
        """See `DeadLetterSource.actions`."""
        return actions_of(self._engine, dl_id)

    def count(self, wanted: DeadLetterFilter) -> list[DeadLetterCount]:
        """See `DeadLetterSource.count`."""
        return count_dead_letters(self._engine, wanted)


class TopicSource:
    """A dead-letter topic, read from its beginning each time. It knows no `state`."""

    def __init__(self, settings: KafkaSettings, pipeline: str, timeout_s: float) -> None:
        self._settings = settings
        self._topic = topics.dead_letters(pipeline)
        self._timeout_s = timeout_s

    def select(self, wanted: DeadLetterFilter, limit: int | None) -> list[Row]:
        """See `DeadLetterSource.select`. Raises ConfigurationError when asked for a state."""
        found = self._matching(wanted)
        if limit is None:
            return sorted(found, key=_newness, reverse=True)
        return heapq.nlargest(limit, found, key=_newness)

    def find(self, dl_id: str) -> Row | None:
        """See `DeadLetterSource.find`."""
        return next((row for row in self._rows() if row["dl_id"] == dl_id), None)

    def actions(self, _: str) -> list[Row]:
        """See `DeadLetterSource.actions`."""
        return []

    def count(self, wanted: DeadLetterFilter) -> list[DeadLetterCount]:
        """See `DeadLetterSource.count`. Raises ConfigurationError when asked for a state."""
        counts = Counter(map(_group, self._matching(wanted)))
        return sort_counts([DeadLetterCount(*group, count) for group, count in counts.items()])

    def _matching(self, wanted: DeadLetterFilter) -> Iterator[Row]:
        if wanted.state is not None:
            raise ConfigurationError("--state", "is known to the database only, not to the topic")
        return (row for row in self._rows() if _matches(row, wanted))

    def _rows(self) -> Iterator[Row]:
        """Yield each dead letter once: a worker that was killed may have sent it twice."""
        seen = set()
        for record in read_to_end(self._settings, self._topic, Edge.BEGINNING, timeout_s=self._timeout_s):
            row = read_dead_letter(_sink_record(record)).columns
            if row["dl_id"] not in seen:
                seen.add(row["dl_id"])
                yield row


def original_value(row: Row, settings: Settings, timeout_s: float) -> bytes | None:
    """Return the original bytes: from the object store, or from Kafka while they are not there yet.

    Bytes whose hash is not the row's are others. None when neither has them, or there never were any. Raises
    OutageError, and ConfigurationError when the bytes can only be in an object store and none is set.
    """
    if row["object_key"] is None and row["dataref"] is None:
        return None
    if settings.objects.url is not None or row["dataref"] is not None:
        store = open_store(settings.objects_url(), settings.s3)
        try:
            stored = store.get(dead_letter_key(row["pipeline"], row["dl_id"]), max_bytes=_MAX_BYTES)
        except ObjectNotFoundError:
            pass
        else:
            if _is_original(row, stored):
                return stored
    place = TopicPartition(row["dl_topic"], row["dl_partition"], row["dl_offset"])
    records = read_records(settings.kafka, [place], timeout_s=timeout_s)
    # Retention may have taken the record: then the first one there is another.
    values = (record.value for record in records if record.offset == row["dl_offset"])
    return next((value for value in values if value is not None and _is_original(row, value)), None)


def _is_original(row: Row, value: bytes) -> bool:
    return row["value_sha256"] in {None, sha256_hex(value)}


def _matches(row: Row, wanted: DeadLetterFilter) -> bool:
    named = ((row[name], getattr(wanted, name)) for name in ("pipeline", "code", "stage", "source"))
    time = row["dl_time"]
    return (
        all(asked in {None, value} for value, asked in named)
        and (wanted.since is None or (time is not None and time >= wanted.since))
        and (wanted.until is None or (time is not None and time < wanted.until))
        and (wanted.dl_ids is None or row["dl_id"] in wanted.dl_ids)
    )


def _group(row: Row) -> tuple[date | None, str, str, str | None]:
    time = row["dl_time"]
    return None if time is None else time.astimezone(UTC).date(), row["code"], row["stage"], row["source"]


def _newness(row: Row) -> datetime:
    moment: datetime | None = row["dl_time"]
    return moment or _LONG_AGO


def _sink_record(record: TopicRecord) -> SinkRecord:
    return SinkRecord(
        record.topic, record.partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
    )
