"""Values too large for a message: they go to the object store, and the message points there."""

from dataclasses import replace

from schemas.deadletter import parse_dead_letter
from schemas.errors import SetupError
from schemas.message import Message
from schemas.topics import pipeline_of
from sightline.runtime.objectstore import ObjectStore
from sinks.objects.keys import dead_letter_key

# The topics take 16 MiB a message; key, headers and the record's own frame need some of that.
ARTIFACT_LIMIT_BYTES = 16 * 1024 * 1024 - 64 * 1024


class Offload:
    """Puts values into `store`. Without a store, what does not fit waits: SetupError."""

    def __init__(self, store: ObjectStore | None) -> None:
        self._store = store

    def artifact(self, message: Message, key: str, media_type: str) -> Message:
        """Return the message itself, or, when it is too large, one that points to its object. May block."""
        value = message.value or b""
        if len(value) <= ARTIFACT_LIMIT_BYTES:
            return message
        dataref = self._put(key, value, media_type)
        return replace(message, value=None, headers=[*message.headers, ("ce_dataref", dataref.encode())])

    def dead_letter(self, message: Message) -> Message:
        """Return a dead letter whose value lies in the object store. Raises OutageError when that is away."""
        letter = parse_dead_letter(message.headers)
        key = dead_letter_key(pipeline_of(message.topic) or "", letter.dl_id)
        dataref = self._put(key, message.value or b"", "application/octet-stream")
        return replace(message, value=None, headers=[*message.headers, ("dl_dataref", dataref.encode())])

    def _put(self, key: str, value: bytes, media_type: str) -> str:
        if self._store is None:
            raise SetupError("objects", "a value too large for Kafka needs SIGHTLINE_OBJECTS_URL")
        self._store.put(key, value, media_type)
        return self._store.address(key)
