"""Pictures to keep, and the original bytes of dead letters, into the object store."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from schemas import topics
from schemas.errors import Code, InputError, Stage
from schemas.headers import last_text
from schemas.message import ARTIFACT_TYPE
from sightline.runtime.objectstore import ObjectStore, check_key
from sinks.deadletter import receive_dead_letter
from sinks.objects.keys import check_picture_content
from sinks.protocol import SinkRecord, StoreReport, VersionUnknownError

_BINARY = "application/octet-stream"
_ARTIFACT_KIND = ARTIFACT_TYPE.removesuffix("v1")


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object to write. `value` None: it must be there already, or there is nothing to write (key None)."""

    key: str | None
    value: bytes | None
    media_type: str


class ObjectsSink:
    """Writes the objects of a batch side by side. Keys follow from content or id, so writing twice changes nothing."""

    stage = Stage.SINK_OBJECTS

    def __init__(self, store: ObjectStore, threads: int) -> None:
        self._store = store
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="objects")

    def read(self, record: SinkRecord) -> ObjectEntry:
        """See `Sink.read`."""
        if record.topic.startswith(f"{topics.DEAD_LETTERS}."):
            return _dead_letter(record)
        return _artifact(record)

    def store(self, entries: Sequence[ObjectEntry]) -> StoreReport:
        """Write all; the first failure in the batch's order is raised once every write has ended."""
        futures = [self._executor.submit(self._write, entry) for entry in entries]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return StoreReport(stored=len(entries))

    def close(self) -> None:
        """See `Sink.close`."""
        self._executor.shutdown()

    def _write(self, entry: ObjectEntry) -> None:
        if entry.key is None:
            return
        if entry.value is not None:
            self._store.put(entry.key, entry.value, entry.media_type)
        elif self._store.stat(entry.key) is None:
            raise InputError(Code.OBJECT_REJECTED, self.stage, "the object that the message points to is not there")


def _dead_letter(record: SinkRecord) -> ObjectEntry:
    """Read a dead letter; one without a value has its original in the store already, or never had one.

    Never raises: whatever its headers are, the value is kept, under the key that its row has too.
    """
    key = receive_dead_letter(record).object_key(record.value)
    return ObjectEntry(key, record.value if key is not None else None, _BINARY)


def _artifact(record: SinkRecord) -> ObjectEntry:
    headers = record.headers or []
    event_type = last_text(headers, "ce_type") or ""
    if event_type != ARTIFACT_TYPE:
        if event_type.startswith(_ARTIFACT_KIND):
            raise VersionUnknownError("objects", f"messages of type {event_type}")
        raise InputError(Code.RECORD_INVALID, Stage.SINK_OBJECTS, f"ce_type is not {ARTIFACT_TYPE}")
    key = check_key(last_text(headers, "ce_id") or "")
    if record.value is not None:
        check_picture_content(key, record.value)
    elif last_text(headers, "ce_dataref") is None:
        raise InputError(Code.VALUE_NULL, Stage.SINK_OBJECTS, "an artifact needs a value or ce_dataref")
    return ObjectEntry(key, record.value, last_text(headers, "content-type") or _BINARY)
