"""A dead letter: the original record, then a last block of headers that says what went wrong.

Value, key and headers of the original stay as they were. A record that is already a dead letter gets a
further block; readers take the last. The block begins at the last `dl_id`.
"""

from dataclasses import dataclass
from datetime import datetime

from schemas import topics
from schemas.encoding import format_time, parse_time
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers, last_text
from schemas.identity import dead_letter_id
from schemas.message import Message

MAX_REASON_BYTES = 1024
ATTEMPT_HEADER = "sightline_attempt"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The last header block of a dead letter, read."""

    dl_id: str
    stage: str
    code: str
    reason: str
    attempt: int
    origin: Origin
    time: datetime
    worker: str
    dataref: str | None = None
    frame_id: str | None = None
    headers_lost: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """What a dead letter needs of the record that failed."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None  # None: they could not be read
    origin: Origin
    timestamp_ms: int


def dead_letter_message(
    pipeline: str,
    failed: Failed,
    error: InputError,
    *,
    now: datetime,
    worker: str,
    frame_id: str | None = None,
    dataref: str | None = None,
) -> Message:
    """Wrap a failed record for its pipeline's dead-letter topic; with `dataref` the value lies in the object store."""
    headers = failed.headers if failed.headers is not None else []
    origin = failed.origin
    block = {
        "dl_id": dead_letter_id(
            origin.topic, origin.partition, origin.offset, failed.timestamp_ms, failed.value, error.stage
        ),
        "dl_stage": error.stage.value,
        "dl_code": error.code.value,
        "dl_reason": error.reason.encode()[:MAX_REASON_BYTES].decode("utf-8", "ignore"),
        "dl_attempt": str(_attempt(headers)),
        "dl_topic": origin.topic,
        "dl_partition": str(origin.partition),
        "dl_offset": str(origin.offset),
        "dl_time": format_time(now),
        "dl_worker": worker,
    }
    optional = {
        "dl_dataref": dataref,
        "dl_frame_id": frame_id,
        "dl_headers_lost": "true" if failed.headers is None else None,
    }
    block.update({name: text for name, text in optional.items() if text is not None})
    value = failed.value if dataref is None else None
    all_headers = [*headers, *((name, text.encode()) for name, text in block.items())]
    return Message(topics.dead_letters(pipeline), failed.key, value, all_headers)


def parse_dead_letter(headers: Headers) -> DeadLetter:
    """Read the last block of a dead letter's headers.

    Raises InputError (`record_invalid`) when there is none, or it lacks what a dead letter must have.
    """
    block = dict(_split(headers)[1])
    try:
        fields = {name: (value or b"").decode() for name, value in block.items()}
        return DeadLetter(
            dl_id=fields["dl_id"],
            stage=fields["dl_stage"],
            code=fields["dl_code"],
            reason=fields["dl_reason"],
            attempt=int(fields["dl_attempt"]),
            origin=Origin(fields["dl_topic"], int(fields["dl_partition"]), int(fields["dl_offset"])),
            time=parse_time(fields["dl_time"]),
            worker=fields["dl_worker"],
            dataref=fields.get("dl_dataref"),
            frame_id=fields.get("dl_frame_id"),
            headers_lost=fields.get("dl_headers_lost") == "true",
        )
    except (KeyError, ValueError):
        raise InputError(Code.RECORD_INVALID, Stage.SINK_POSTGRES, "no complete dl_* header block") from None


def original_headers(headers: Headers) -> Headers:
    """Return the headers without the last dead-letter block: those of the record that failed."""
    return _split(headers)[0]


def _split(headers: Headers) -> tuple[Headers, Headers]:
    starts = [index for index, (name, _) in enumerate(headers) if name == "dl_id"]
    return (headers[: starts[-1]], headers[starts[-1] :]) if starts else (headers, [])


def _attempt(headers: Headers) -> int:
    """Count from 1; a redriven record says which attempt it is."""
    text = last_text(headers, ATTEMPT_HEADER) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
