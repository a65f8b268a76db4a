"""Structured mode: a CloudEvents JSON envelope as a record's value, as many client libraries send it."""

import base64
import json
from typing import Any

from schemas.errors import Code, InputError, Stage
from schemas.headers import is_clean

# In the JSON format these are strings; only extensions may be numbers or booleans.
_STRING_MEMBERS = frozenset(
    {"specversion", "type", "id", "source", "subject", "time", "datacontenttype", "dataschema", "dataref"}
)


def open_envelope(value: bytes | None, limit_bytes: int) -> tuple[dict[str, str], bytes | None]:
    """Turn a structured-mode event into the attributes and value that binary mode would have carried.

    Raises InputError of stage `frame` when the value is no such event, or has more than `limit_bytes`.
    """
    envelope = _parse(value, limit_bytes)
    data = _data(envelope)
    attributes = {
        "content-type" if name == "datacontenttype" else f"ce_{name}": _attribute_text(name, content)
        for name, content in envelope.items()
        if name not in {"data", "data_base64"} and content is not None
    }
    return attributes, data


def _parse(value: bytes | None, limit_bytes: int) -> dict[str, Any]:
    if value is None:
        raise InputError(Code.VALUE_NULL, Stage.FRAME, "a structured event has its envelope as value, not null")
    if not value:
        raise InputError(Code.VALUE_EMPTY, Stage.FRAME, "a structured event has its envelope as value")
    if len(value) > limit_bytes:
        reason = f"an envelope of {len(value)} bytes, at most {limit_bytes} are allowed"
        raise InputError(Code.INLINE_TOO_LARGE, Stage.FRAME, reason)
    try:
        # Strict UTF-8: loads() itself would guess UTF-16 and let encoded surrogates through.
        text = value.decode("utf-8-sig")
        envelope = json.loads(text, object_pairs_hook=_unique_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InputError(Code.ENVELOPE_INVALID, Stage.FRAME, "the envelope is not JSON") from None
    if not isinstance(envelope, dict):
        raise InputError(Code.ENVELOPE_INVALID, Stage.FRAME, "the envelope is not a JSON object")
    return envelope


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InputError(Code.HEADER_REPEATED, Stage.FRAME, "a member of the envelope is repeated")
    return members


def _data(envelope: dict[str, Any]) -> bytes | None:
    if envelope.get("data") is not None:
        raise InputError(Code.ENVELOPE_INVALID, Stage.FRAME, "a picture travels in data_base64, not in data")
    encoded = envelope.get("data_base64")
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError):
        raise InputError(Code.ENVELOPE_INVALID, Stage.FRAME, "data_base64 is not base64") from None


def _attribute_text(name: str, content: Any) -> str:
    if isinstance(content, str) and is_clean(content):
        return content
    if isinstance(content, bool) and name not in _STRING_MEMBERS:
        return str(content).lower()
    if isinstance(content, int | float) and name not in _STRING_MEMBERS:
        return repr(content)
    reason = f"{ascii(name)[1:-1][:64]} holds control characters or is of the wrong type"
    raise InputError(Code.HEADER_VALUE_INVALID, Stage.FRAME, reason)
