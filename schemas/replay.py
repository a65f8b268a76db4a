"""A replay on the wire: the headers of a frame that is sent once more, what it wants otherwise, and its cancellation.

A frame of `frames.<pipeline>.replay` has value, key and headers of the original, then a last block of headers
that says where it comes from. Readers take the last block, as with dead letters.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, TypeAdapter

from schemas import topics
from schemas.activation import ModelAddress
from schemas.encoding import canonical_json, format_time
from schemas.errors import Code, InputError, Stage
from schemas.frame import SPEC_VERSION, Origin
from schemas.headers import Headers
from schemas.identity import sha256_hex
from schemas.message import Message
from schemas.pipeline import PipelineDefinition
from schemas.result import Moment, WireModel

REPLAY_TYPE: Final = "sightline.replay.v1"
REPLAY_SCHEMA: Final = "urn:sightline:schema:replay-state:v1"
REPLAY_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
SKIPPED_CANCELLED: Final = "replay-cancelled"
_PREFIX: Final = "sightline_replay_"
_ID: Final = f"{_PREFIX}id"
_TOPIC: Final = f"{_PREFIX}topic"
_PARTITION: Final = f"{_PREFIX}partition"
_OFFSET: Final = f"{_PREFIX}offset"
_TIMESTAMP: Final = f"{_PREFIX}timestamp"
_DIGEST: Final = f"{_PREFIX}overrides"
_ADDRESS: Final = f"{_PREFIX}overrides_at"
_FRAME_ID: Final = f"{_PREFIX}frame_id"
_ORIGINAL: Final = f"{_PREFIX}original"
_METADATA: Final = f"{_PREFIX}metadata"
_HEADERS_LOST: Final = f"{_PREFIX}headers_lost"
ALWAYS_THERE: Final = (_ID, _TOPIC, _PARTITION, _OFFSET, _TIMESTAMP)
REPLAY_HEADERS: Final = {
    _ID: "Which replay the frame belongs to.",
    _TOPIC: "The topic that the frame came from.",
    _PARTITION: "Its partition there.",
    _OFFSET: "Its offset there.",
    _TIMESTAMP: "When it was appended there, in milliseconds since 1970.",
    _DIGEST: "SHA-256 of the document that says what this replay wants otherwise, if anything.",
    _ADDRESS: "Where that document lies.",
    _FRAME_ID: "The frame's id, where value and headers do not give it: in most cases the value is the kept picture.",
    _ORIGINAL: "`true` when the value is the original although the id is there: only its time of arrival is lost.",
    _METADATA: "What the original said of camera and exposure, as JSON: a kept picture says it no more.",
    _HEADERS_LOST: "`true` when the original's headers could not be read.",
}
# Strict, or 1 and 1.0 and true would become one another.
_METADATA_JSON = TypeAdapter(dict[str, StrictStr | StrictInt | StrictFloat])
_NUMBER = re.compile(r"-?\d{1,19}", re.ASCII)
_FRAME = re.compile(r"[0-9a-f-]{36}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OverridesReference:
    """Where the document lies, and its SHA-256 (hex)."""

    digest: str
    address: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The header block of a frame that is sent once more.

    `frame_id` is there where value and headers do not give it: the value is the kept picture, whose bytes may differ
    from the original's, or, where `original` says so, the original without the time at which it came. `metadata` is
    what an earlier result says of the original's.
    """

    replay_id: str
    origin: Origin
    timestamp_ms: int
    overrides: OverridesReference | None = None
    frame_id: str | None = None
    headers_lost: bool = False
    metadata: dict[str, str | int | float] | None = None
    original: bool = False

    @property
    def archived(self) -> bool:
        """Whether the value is the kept picture."""
        return self.frame_id is not None and not self.original


class Overrides(BaseModel):
    """What a replay wants otherwise than live. `models` by role; a role that is not named takes the live model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    definition: PipelineDefinition | None = None
    models: dict[str, ModelAddress] = Field(default_factory=dict)

    def document(self) -> bytes:
        """Return the JSON that is stored: equal overrides have equal bytes."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))


class ReplayState(WireModel):
    """The newest state of one replay, as workers need to know it; keyed by its id on a compacted topic."""

    replay_id: str = Field(pattern=rf"^{REPLAY_ID.pattern}$")
    pipeline: str
    state: Literal["cancelled"]
    changed_at: Moment
    changed_by: str


def replay_headers(replayed: Replayed) -> Headers:
    """Return the block to put behind the original's headers."""
    place = replayed.origin
    block: dict[str, str | None] = {
        _ID: replayed.replay_id,
        _TOPIC: place.topic,
        _PARTITION: str(place.partition),
        _OFFSET: str(place.offset),
        _TIMESTAMP: str(replayed.timestamp_ms),
        _DIGEST: None if replayed.overrides is None else replayed.overrides.digest,
        _ADDRESS: None if replayed.overrides is None else replayed.overrides.address,
        _FRAME_ID: replayed.frame_id,
        _ORIGINAL: "true" if replayed.original else None,
        _METADATA: None if replayed.metadata is None else canonical_json(replayed.metadata).decode(),
        _HEADERS_LOST: "true" if replayed.headers_lost else None,
    }
    return [(name, text.encode()) for name, text in block.items() if text is not None]


def split_replay(headers: Headers) -> tuple[Headers, Replayed]:
    """Return the original's headers and the last block. Raises InputError (`replay_invalid`)."""
    start = max((index for index, (name, _) in enumerate(headers) if name == _ID), default=len(headers))
    fields = {name: value for name, value in headers[start:] if name.startswith(_PREFIX)}
    original = headers[:start] + [pair for pair in headers[start:] if not pair[0].startswith(_PREFIX)]
    try:
        return original, _parse({name: (value or b"").decode() for name, value in fields.items()})
    except (KeyError, ValueError):
        reason = "there is no complete block of replay headers"
        raise InputError(Code.REPLAY_INVALID, Stage.FRAME, reason) from None


def replay_id_of(headers: Headers) -> str | None:
    """Return which replay a record belongs to, or None for one of the live stream."""
    try:
        return split_replay(headers)[1].replay_id
    except InputError:
        return None


def replay_state_message(state: ReplayState) -> Message:
    """Wrap a replay's state for its pipeline's topic, keyed by the replay, so that compaction keeps the newest."""
    headers: Headers = [
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_type", REPLAY_TYPE.encode()),
        ("ce_id", state.replay_id.encode()),
        ("ce_source", f"/sightline/pipelines/{state.pipeline}/replays".encode()),
        ("ce_time", format_time(state.changed_at).encode()),
        ("content-type", b"application/json"),
        ("ce_dataschema", REPLAY_SCHEMA.encode()),
    ]
    return Message(topics.replays(state.pipeline), state.replay_id.encode(), state.to_json(), headers)


def overrides_digest(document: bytes) -> str:
    """Return what names a document of overrides."""
    return sha256_hex(document)


def _parse(fields: dict[str, str]) -> Replayed:
    return Replayed(
        replay_id=_matching(REPLAY_ID, fields[_ID]),
        origin=Origin(fields[_TOPIC], _int(fields[_PARTITION]), _int(fields[_OFFSET])),
        timestamp_ms=_int(fields[_TIMESTAMP]),
        overrides=_reference(fields),
        frame_id=_matching(_FRAME, fields[_FRAME_ID]) if _FRAME_ID in fields else None,
        headers_lost=fields.get(_HEADERS_LOST) == "true",
        metadata=_METADATA_JSON.validate_json(fields[_METADATA]) if _METADATA in fields else None,
        original=fields.get(_ORIGINAL) == "true",
    )


def _reference(fields: dict[str, str]) -> OverridesReference | None:
    if _DIGEST not in fields:
        return None
    return OverridesReference(_matching(_SHA256, fields[_DIGEST]), fields[_ADDRESS])


def _int(text: str) -> int:
    return int(_matching(_NUMBER, text))


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError("not as we write it")
    return text
