"""What the monitor keeps of a record: a few facts of a result or a dead letter, and when the broker got it."""

from dataclasses import dataclass
from enum import Enum, auto

from pydantic import BaseModel, Field, ValidationError

from schemas import topics
from schemas.deadletter import parse_dead_letter
from schemas.errors import Code, InputError, Stage
from schemas.headers import Headers, last_text

UNKNOWN_SOURCE = "unknown"
# A source is a URI reference of a device; longer ones are noise that would only take memory.
_LONGEST_SOURCE = 512
_SINK_STAGES = "sink."


class Kind(Enum):
    """What became of a frame, or that only its sinking failed."""

    ANSWERED = auto()
    SKIPPED = auto()
    FAILED = auto()
    NOT_STORED = auto()


@dataclass(frozen=True, slots=True)
class Observation:
    """One record, dated by its append time: a camera's own clock may say anything.

    `id` is that of the result or dead letter. `code` only a dead letter has, the other two only a result.
    """

    at_ms: int
    kind: Kind
    source: str
    id: str
    code: str | None = None
    accepted: bool | None = None
    score: float | None = None


class _Quality(BaseModel):
    score: float = Field(ge=0, le=100)


class _Glimpse(BaseModel):
    """The few fields of a result that are looked at."""

    result_id: str
    source: str
    kind: str = "frame"
    variant: str = "live"
    verdict: str | None = None
    score: float | None = Field(None, ge=0, le=100)
    quality: _Quality | None = None
    replay_id: str | None = None
    supersedes: str | None = None


def read_result(value: bytes | None, at_ms: int) -> Observation | None:
    """Read a result; None for one that answers no new frame: of a shadow model, or promoted from a replay.

    Raises InputError (`record_invalid`) when it cannot be read.
    """
    try:
        seen = _Glimpse.model_validate_json(value or b"")
    except ValidationError:
        raise InputError(Code.RECORD_INVALID, Stage.PROCESS, "not a result") from None
    if seen.variant != "live" or seen.replay_id is not None or seen.supersedes is not None:
        return None
    kind = Kind.SKIPPED if seen.kind == "skipped" else Kind.ANSWERED
    # A frame that a gate stops was scored; one that was skipped unseen has no score of any kind.
    score = seen.score if seen.quality is None else seen.quality.score
    return Observation(
        at_ms,
        kind,
        seen.source[:_LONGEST_SOURCE],
        seen.result_id,
        accepted={"accepted": True, "rejected": False}.get(seen.verdict or ""),
        score=score,
    )


def read_dead_letter(key: bytes | None, headers: Headers | None, at_ms: int) -> Observation | None:
    """Read a dead letter; None for one of a replay. Raises InputError (`record_invalid`) when it is no dead letter."""
    if headers is None:
        raise InputError(Code.RECORD_INVALID, Stage.PROCESS, "headers cannot be read")
    letter = parse_dead_letter(headers)
    if letter.origin.topic.endswith(topics.REPLAY_SUFFIX):
        return None
    kind = Kind.NOT_STORED if letter.stage.startswith(_SINK_STAGES) else Kind.FAILED
    # The event that a sink could not store came from a pipeline: there only the key names the camera.
    named = last_text(headers, "ce_source") if kind is Kind.FAILED else None
    source = named or (key or b"").decode("utf-8", "replace") or UNKNOWN_SOURCE
    return Observation(at_ms, kind, source[:_LONGEST_SOURCE], letter.dl_id, code=letter.code)
