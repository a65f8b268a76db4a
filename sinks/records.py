"""What the sinks' readers share: which pipeline a topic belongs to, and which message a record says it is."""

import re

from schemas.errors import Code, InputError, Stage
from schemas.headers import Headers, last_text
from sinks.protocol import SinkRecord, VersionUnknownError

_EVENT_TYPE = re.compile(r"sightline\.([a-z-]+)\.v(\d+)", re.ASCII)


def topic_kind(topic: str) -> str:
    """Return `results` of `results.civic`, and `alerts` of `alerts`."""
    return topic.split(".", 1)[0]


def require_type(record: SinkRecord, expected: str, stage: Stage) -> Headers:
    """Return the headers of a record whose `ce_type` is `expected`.

    Raises VersionUnknownError for another major version of the same kind, else InputError (`record_invalid`).
    """
    if record.headers is None:
        raise InputError(Code.RECORD_INVALID, stage, "the headers cannot be read")
    found = last_text(record.headers, "ce_type")
    if found == expected:
        return record.headers
    kind = _EVENT_TYPE.fullmatch(expected)
    other = _EVENT_TYPE.fullmatch(found or "")
    if kind is not None and other is not None and kind[1] == other[1]:
        raise VersionUnknownError(stage.value, f"a message of type {found}, while this sink knows {expected}")
    raise InputError(Code.RECORD_INVALID, stage, f"ce_type is not {expected}")
