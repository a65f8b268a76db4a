"""Kafka headers as they are: ordered, repeatable, null apart from empty, values binary."""

import re
from collections import Counter

from schemas.errors import Code, InputError, Stage

Headers = list[tuple[str, bytes | None]]

# What CloudEvents keeps out of its strings: control characters, lone surrogates, noncharacters. Python's
# isprintable would refuse more (a no-break space), and other characters in every release.
_FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)


def single_values(headers: Headers) -> dict[str, str]:
    """Return the `ce_*` and `content-type` headers as text; every other header is left alone.

    Raises InputError when one of them is repeated, null, not UTF-8, or holds control characters.
    """
    ours = [(name, value) for name, value in headers if name.startswith("ce_") or name == "content-type"]
    repeated = [name for name, count in Counter(name for name, _ in ours).items() if count > 1]
    if repeated:
        raise InputError(Code.HEADER_REPEATED, Stage.FRAME, f"repeated: {', '.join(_printable(repeated))}")
    return {name: _text(name, value) for name, value in ours}


def is_clean(text: str) -> bool:
    """Tell whether a CloudEvents string may hold `text`; what is clean can be written as UTF-8."""
    return _FORBIDDEN.search(text) is None


def last_value(headers: Headers, name: str) -> bytes | None:
    """Return the value of the last header called `name`; None when there is none or it is null."""
    return next((value for candidate, value in reversed(headers) if candidate == name), None)


def last_text(headers: Headers, name: str) -> str | None:
    """As `last_value`, as text; bytes that are not UTF-8 are replaced."""
    value = last_value(headers, name)
    return None if value is None else value.decode("utf-8", "replace")


def _text(name: str, value: bytes | None) -> str:
    where = _printable([name])[0]
    if value is None:
        raise InputError(Code.HEADER_VALUE_INVALID, Stage.FRAME, f"{where} is null")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(Code.HEADER_VALUE_INVALID, Stage.FRAME, f"{where} is not UTF-8") from None
    if not is_clean(text):
        raise InputError(Code.HEADER_VALUE_INVALID, Stage.FRAME, f"{where} holds control characters")
    return text


def _printable(names: list[str]) -> list[str]:
    return [ascii(name)[1:-1][:64] for name in names]
