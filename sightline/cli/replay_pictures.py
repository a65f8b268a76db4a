"""Where a compared frame's picture is found: in the object store, or in Kafka while it is still there."""

from collections.abc import Iterator
from typing import Final

from confluent_kafka import TopicPartition

from schemas.errors import InputError, OutageError, UnclearError
from schemas.frame import Origin, parse_frame
from schemas.identity import sha256_hex
from schemas.result import ArtifactReference, OriginReference, Result
from sightline.compare.change import Change
from sightline.compare.pictures import MAX_BYTES, draw_sides, headline
from sightline.compare.report import Shown
from sightline.runtime.objectstore import ObjectNotFoundError, ObjectStore, ObjectTooLargeError, open_store
from sightline.runtime.settings import Settings
from streams.claims import Claims, open_claims
from streams.read import TopicRecord, read_records

_KEPT: Final = "picture"
_NOWHERE: Final = "it was not kept, and Kafka has it no longer"


class Pictures:
    """Finds pictures. A service that is away is asked once; what it would have had is then said to be missing."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._store: ObjectStore | None = None
        if settings.objects.url is not None:
            self._store = open_store(settings.objects_url(), settings.s3, timeout_s=timeout_s)
        self._claims: Claims = open_claims(settings)
        self._away: dict[str, str] = {}

    def show(self, change: Change, old: Result, new: Result) -> Shown:
        """Return the drawn sides of a frame, or why there are none. Blocks; raises nothing for a picture's sake."""
        headlines = (headline(old), headline(new))
        reasons = []
        for data in self._found(old, new):
            try:
                return Shown(change, headlines, draw_sides(data, change, old, new))
            except InputError as error:
                reasons.append(f"it cannot be decoded ({error.code.value})")
        return Shown(change, headlines, None, "; ".join(dict.fromkeys([*reasons, *self._away.values()])) or _NOWHERE)

    def _found(self, old: Result, new: Result) -> Iterator[bytes]:
        for artifact in [*(old.artifacts or ()), *(new.artifacts or ())]:
            if artifact.kind == _KEPT and (data := self._kept(artifact)) is not None:
                yield data
        for result in (old, new):
            if result.origin is not None and (data := self._sent(result, result.origin)) is not None:
                yield data

    def _kept(self, artifact: ArtifactReference) -> bytes | None:
        if self._store is None or "objects" in self._away:
            return None
        try:
            return self._store.get(artifact.key, max_bytes=MAX_BYTES)
        except (ObjectNotFoundError, ObjectTooLargeError, InputError):
            return None
        except (OutageError, UnclearError) as error:
            self._away["objects"] = f"the object store does not answer ({type(error).__name__})"
            return None

    def _sent(self, result: Result, origin: OriginReference) -> bytes | None:
        """Read the record that was answered; another one may stand in its place, which its hash tells."""
        if origin.topic in self._away:
            return None
        place = TopicPartition(origin.topic, origin.partition, origin.offset)
        try:
            records = read_records(self._settings.kafka, [place], timeout_s=self._timeout_s)
            data = next((self._value(record) for record in records if record.offset == origin.offset), None)
        except InputError:
            return None
        except (OutageError, UnclearError) as error:
            self._away[origin.topic] = f"{origin.topic} cannot be read ({type(error).__name__})"
            return None
        wanted = None if result.image is None else result.image.sha256
        return data if data is not None and wanted in {None, sha256_hex(data)} else None

    def _value(self, record: TopicRecord) -> bytes | None:
        origin = Origin(record.topic, record.partition, record.offset)
        frame = parse_frame(record.value, record.headers or [], origin, record.timestamp_ms)
        return frame.value if frame.dataref is None else self._claims.fetch(frame.dataref, MAX_BYTES)
