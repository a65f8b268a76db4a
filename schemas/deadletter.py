"""A dead letter: the original record, then a last block of headers that says what went wrong.

Value, key and headers of the original stay as they were. A record that is already a dead letter gets a
further block; readers take the last. The block is the last `dl_id` and the `dl_*` headers after it; other
headers there were added on the way (by a mirror, by tracing) and belong to the record.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from schemas import topics
from schemas.encoding import format_time, parse_time
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers, last_text
from schemas.identity import dead_letter_id, replayed_dead_letter_id
from schemas.message import Message
from schemas.replay import split_replay

MAX_REASON_BYTES = 1024
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
ATTEMPT_HEADER = "sightline_attempt"
REDRIVEN_HEADER = "sightline_dl_id"
_DIGITS = re.compile(r"\d{1,19}", re.ASCII)


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
    """Wrap a failed record for its pipeline's dead-letter topic.

    With `dataref` the value lies in the object store, and the message carries null instead.
    """
    headers = failed.headers if failed.headers is not None else []
    origin = failed.origin
    block = {
        "dl_id": _id(failed, error.stage),
        "dl_stage": error.stage.value,
        "dl_code": error.code.value,
        "dl_reason": _encode(error.reason)[:MAX_REASON_BYTES].decode("utf-8", "ignore"),
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
    all_headers = [*headers, *((name, _encode(text)) for name, text in block.items())]
    return Message(topics.dead_letters(pipeline), failed.key, value, all_headers)


def parse_dead_letter(headers: Headers) -> DeadLetter:
    """Read the last block of a dead letter's headers.

    Raises InputError (`record_invalid`) when there is none, or it lacks what a dead letter must have.
    """
    try:
        fields = {name: (value or b"").decode() for name, value in _split(headers)[1]}
        return DeadLetter(
            dl_id=_filled(fields["dl_id"]),
            stage=_filled(fields["dl_stage"]),
            code=_filled(fields["dl_code"]),
            reason=fields["dl_reason"],
            attempt=_number(fields["dl_attempt"], MAX_INT32),
            origin=Origin(
                _filled(fields["dl_topic"]),
                _number(fields["dl_partition"], MAX_INT32),
                _number(fields["dl_offset"], MAX_INT64),
            ),
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


def _id(failed: Failed, stage: Stage) -> str:
    origin = failed.origin
    # One that was redriven fails anew: under its first place this would be the dead letter that it was before.
    redriven = last_text(failed.headers or [], REDRIVEN_HEADER) is not None
    if origin.topic.endswith(topics.REPLAY_SUFFIX) and not redriven:
        try:
            _, first = split_replay(failed.headers or [])
        except InputError:
            pass  # nobody can say which frame this was: its place here is all there is
        else:
            place = (first.origin.topic, first.origin.partition, first.origin.offset, first.timestamp_ms)
            return replayed_dead_letter_id(first.replay_id, *place, failed.value, stage)
    return dead_letter_id(origin.topic, origin.partition, origin.offset, failed.timestamp_ms, failed.value, stage)


def _split(headers: Headers) -> tuple[Headers, Headers]:
    start = max((index for index, (name, _) in enumerate(headers) if name == "dl_id"), default=len(headers))
    block = [(name, value) for name, value in headers[start:] if name.startswith("dl_")]
    others = [(name, value) for name, value in headers[start:] if not name.startswith("dl_")]
    return headers[:start] + others, block


def _attempt(headers: Headers) -> int:
    """Count from 1. A redriven record says which attempt it is, and one that carries a block has failed before.

    Nonsense there must not stop a dead letter.
    """
    redriven = _number_or(0, last_text(headers, ATTEMPT_HEADER))
    before = _number_or(0, last_text(_split(headers)[1], "dl_attempt"))
    return max(1, redriven, min(before + 1, MAX_INT32))


def _number_or(default: int, text: str | None) -> int:
    try:
        return _number(text or "", MAX_INT32)
    except ValueError:
        return default


def _number(text: str, most: int) -> int:
    """Read plain digits: int() alone also takes signs, blanks, underscores and the digits of other scripts."""
    number = int(text) if _DIGITS.fullmatch(text) else -1
    if not 0 <= number <= most:
        raise ValueError("not a number in range")
    return number


def _filled(text: str) -> str:
    if not text:
        raise ValueError("empty")
    return text


def _encode(text: str) -> bytes:
    """Write what a header can hold: a lone surrogate (from a path, say) becomes a question mark."""
    return text.encode("utf-8", "replace")
