"""Values too large for a message: they go to the object store, and the message points there."""

from dataclasses import replace

from schemas.deadletter import parse_dead_letter
from schemas.errors import InputError, SetupError, UnclearError
from schemas.message import Message
from schemas.topics import pipeline_of
from sightline.runtime.kafka import SERVICE as KAFKA
from sightline.runtime.objectstore import ObjectStore
from sightline.runtime.objectstore.base import SERVICE as OBJECTS
from sinks.objects.keys import dead_letter_key

# The topics take 16 MiB a message; key, headers and the record's own frame need some of that.
ARTIFACT_LIMIT_BYTES = 16 * 1024 * 1024 - 64 * 1024


class Offload:
    """Puts values into `store`. Without a store, what does not fit waits: SetupError.

    What the store cannot make up its mind about waits too: the value must not be lost, and nobody else has it.
    """

    def __init__(self, store: ObjectStore | None) -> None:
        self._store = store

    def artifact(self, message: Message, key: str, media_type: str) -> Message:
        """Return the message itself, or, when it is too large, one that points to its object. May block."""
        if len(message.value or b"") <= ARTIFACT_LIMIT_BYTES:
            return message
        return self.refused_artifact(message, key, media_type)

    def refused_artifact(self, message: Message, key: str, media_type: str) -> Message:
        """Return an artifact that points to its object. Raises OutageError when it does so already, or as `put`."""
        if message.value is None:
            raise SetupError(KAFKA, f"{message.topic} refuses an artifact without its value too")
        dataref = self._put(key, message.value, media_type)
        return replace(message, value=None, headers=[*message.headers, ("ce_dataref", dataref.encode())])

    def refused_dead_letter(self, message: Message) -> Message:
        """Return a dead letter whose value lies in the object store; raises as `refused_artifact`."""
        if message.value is None:
            raise SetupError(KAFKA, f"{message.topic} refuses a dead letter without its value too")
        letter = parse_dead_letter(message.headers)
        key = dead_letter_key(pipeline_of(message.topic) or "", letter.dl_id)
        dataref = self._put(key, message.value, "application/octet-stream")
        return replace(message, value=None, headers=[*message.headers, ("dl_dataref", dataref.encode())])

    def _put(self, key: str, value: bytes, media_type: str) -> str:
        if self._store is None:
            raise SetupError(OBJECTS, "a value too large for Kafka needs SIGHTLINE_OBJECTS_URL")
        try:
            self._store.put(key, value, media_type)
        except (InputError, UnclearError) as error:
            raise SetupError(OBJECTS, f"a value too large for Kafka is not taken either: {error}") from error
        return self._store.address(key)
