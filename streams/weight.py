"""What a record counts for against the bounds on memory."""

from schemas.frame import STRUCTURED_MEDIA_TYPE
from schemas.headers import Headers

# A record, its messages on their way out and their bookkeeping take about this much besides their bytes.
RECORD_BYTES = 4096
# An envelope as small as this holds no picture worth the name, so it may hold a claim.
_SMALL_ENVELOPE_BYTES = 4096


def weigh(key: bytes | None, value: bytes | None, headers: Headers | None, claim_bytes: int) -> int:
    """Return the bytes that a record may take; one with a claim check takes `claim_bytes` more."""
    fields = headers or []
    size_bytes = RECORD_BYTES + len(key or b"") + len(value or b"")
    size_bytes += sum(len(name) + len(content or b"") for name, content in fields)
    return size_bytes + claim_bytes if _claims(fields, len(value or b"")) else size_bytes


def _claims(headers: Headers, value_bytes: int) -> bool:
    if any(name == "ce_dataref" for name, _ in headers):
        return True
    media_type = next((content for name, content in headers if name == "content-type"), None) or b""
    return value_bytes <= _SMALL_ENVELOPE_BYTES and media_type.startswith(STRUCTURED_MEDIA_TYPE.encode())
