"""Names of objects: which are ours to give, and which we accept."""

import re

from schemas.errors import Code, InputError, Stage
from schemas.identity import sha256_hex

_PICTURE = re.compile(r"pictures/([0-9a-f]{2})/([0-9a-f]{64})\.[a-z0-9]{1,8}", re.ASCII)


def dead_letter_key(pipeline: str, dl_id: str) -> str:
    """Return the name under which the value of a dead letter is kept."""
    return f"deadletters/{pipeline}/{dl_id}"


def check_picture_content(key: str, value: bytes) -> None:
    """Raise InputError (`object_rejected`) when `key` is named after a hash that is not that of `value`."""
    match = _PICTURE.fullmatch(key)
    if match is None:
        return
    folder, digest = match.groups()
    if not digest.startswith(folder) or sha256_hex(value) != digest:
        raise _rejected("the object's name is not the hash of its content")


def _rejected(reason: str) -> InputError:
    return InputError(Code.OBJECT_REJECTED, Stage.SINK_OBJECTS, reason)
