"""Frames whose envelope is malformed: headers in binary mode, JSON in structured mode."""

import base64
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from schemas.frame import STRUCTURED_MEDIA_TYPE, frame_headers
from schemas.headers import Headers
from tests.fuzz.damage import damaged

_TEXTS = (
    b"", b"\0", b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\x1b[31m", b" ",
    "\u00e9\u0301\u202e".encode(),
    b"x" * 1024, b"x" * 1025, b"x" * 60_000, b"null", b"1", b"-1", b"1e400", b"NaN", b"inf", b"0x10", b"0_1",
    "\u0661".encode(), b"true", b"True", b"{}", b"[]", b"%00", b"../../etc/passwd", b"'; DROP TABLE results; --",
)  # fmt: skip
_TIMES = (
    b"2026-01-01", b"2026-01-01T00:00:00", b"2026-02-30T00:00:00Z", b"2026-01-01T24:00:00Z", b"2026-01-01T23:59:60Z",
    b"0000-01-01T00:00:00Z", b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"99999-01-01T00:00:00Z",
    b"2026-01-01T00:00:00.1234567890Z", b"1970-01-01T00:00:00Z", b"2099-01-01T00:00:00Z", b"-2026-01-01T00:00:00Z",
)  # fmt: skip
_SHARES = (b"-0", b"0", b"1", b"1.0000001", b"0.5", b".5", b"5e-1", b"1e", b"nan", b"--1", b"0.5 ", b"1" * 400)
_BOOLEANS = (b"true", b"false", b"TRUE", b"1", b"yes", b"")
_DATAREFS = (
    b"s3://elsewhere/k", b"s3://", b"s3:///k", b"file:///etc/passwd", b"http://127.0.0.1/k", b"s3://b/../../k",
    b"gopher://x", b"//", b"s3://b/" + b"k" * 1100, b"", b"s3://b\0/k",
)  # fmt: skip
_TYPES = (b"image/", b"image/png; q=\xff", b"IMAGE/JPEG;;", b"application/cloudevents+json", b"application/cloudevents",
          b"text/html", b"image/jpeg\0")  # fmt: skip
_VALUES: dict[str, Sequence[bytes]] = {
    "ce_time": _TIMES, "ce_deadline": _TIMES, "ce_confidence": _SHARES, "ce_iou": _SHARES, "ce_overlay": _BOOLEANS,
    "ce_keep": _BOOLEANS, "ce_dataref": _DATAREFS, "content-type": _TYPES, "ce_specversion": (b"0.3", b"1.0 ", b"2.0"),
    "ce_type": (b"sightline.frame.v2", b"sightline.result.v1", b"frame"), "ce_subject": _TEXTS,
    "traceparent": (b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"ff-1-1-1", b"00-" + b"a" * 500),
}  # fmt: skip
_NAMES = ("", " ", "ce_", "CE_ID", "ce_\u00e9", "ce_\u202e", "x" * 5000, "\U0001f4f7", "dl_id", "dl_offset", "ce_a.b",
          "sightline_attempt", "sightline_dl_id", "sightline_replay_id", "__proto__", "a=b")  # fmt: skip


def plain_headers(event_id: str, source: str, media_type: str | None) -> Headers:
    """Return the headers of a frame whose envelope is sound."""
    found = frame_headers(event_id=event_id, source=source, media_type=media_type or "")
    return found if media_type is not None else found[:-1]


def malformed_headers(headers: Headers, chance: Random) -> Headers:
    """Return headers that are damaged in one to three ways; the event's id, if it is still there, is whole."""
    headers = list(headers)
    for _ in range(chance.choice((1, 1, 2, 3))):
        headers = chance.choice(_WAYS)(headers, chance)
    return headers


def structured(
    event_id: str, source: str, media_type: str | None, data: bytes, chance: Random
) -> tuple[bytes, Headers]:
    """Return a malformed structured event, and its record's headers."""
    event: dict[str, Any] = {
        "specversion": "1.0", "type": "sightline.frame.v1", "id": event_id, "source": source,
        "datacontenttype": media_type, "data_base64": base64.b64encode(data).decode(),
    }  # fmt: skip
    name = f"{STRUCTURED_MEDIA_TYPE}; charset=utf-8".encode()
    headers: Headers = [("content-type", chance.choice((name, name, STRUCTURED_MEDIA_TYPE.upper().encode())))]
    kind = chance.random()
    if kind < 0.5:
        event[chance.choice((*event, "time", "dataref", "data", "x", "confidence", "subject"))] = any_json(chance)
    text = json.dumps(event, ensure_ascii=chance.random() < 0.5, default=str)
    return malformed_json(text, chance) if kind > 0.4 else text.encode("utf-8", "surrogatepass"), headers


def any_json(chance: Random, depth: int = 0) -> Any:
    """Return a value that nobody reckons with."""
    kind = chance.randrange(12 if depth < 3 else 9)
    if kind == 9:
        return [any_json(chance, depth + 1) for _ in range(chance.choice((0, 1, 3, 200)))]
    if kind >= 10:
        return {chance.choice(("", "id", "class", "\0", "x" * 300)): any_json(chance, depth + 1) for _ in range(3)}
    return chance.choice((
        None, True, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**300, 1e308, float("nan"), float("inf"), -0.0, 1e-320,
        "", "\0", "\ud800", "\udfff\ud800", "\ufffe", "x" * 2000, "2026-01-01T00:00:00Z", "9" * 400, "\u202e\u0301",
    ))  # fmt: skip


def malformed_json(text: str, chance: Random) -> bytes:
    """Write JSON so that it is none, or hardly: in bytes, in encoding, or in its shape."""
    data = text.encode("utf-8", "surrogatepass")
    depth = chance.choice((10, 1000, 100_000))
    number = chance.choice((b"NaN", b"-Infinity", b"1e999", b"1" * 5000, b"0" * 5000))
    member = chance.choice((b'"x":"\\ud800"', b'"x":"\\u0000"', b'"x":"\0"', b'"x":"\xff"'))
    return chance.choice((
        text.encode(chance.choice(("utf-16", "utf-32", "utf-8-sig", "cp500")), "replace"),
        chance.choice((b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth)),
        data[:-1] + b"," + data[1:],  # every member twice
        data.replace(b'"1.0"', number).replace(b"1.0", number),
        data[:-1] + b"," + member + b"}",
        chance.choice((b"null", b"[]", b"{}", b'""', b"0", b"", b" ", b"\xef\xbb\xbf", b"\0")),
        *(damaged(data, chance) for _ in range(4)),
    ))  # fmt: skip


def _drop(headers: Headers, chance: Random) -> Headers:
    at = chance.randrange(len(headers) or 1)
    return headers[:at] + headers[at + 1 :]


def _repeat(headers: Headers, chance: Random) -> Headers:
    return headers + [chance.choice(headers)] * chance.choice((1, 1, 50)) if headers else headers


def _blank(headers: Headers, chance: Random) -> Headers:
    return _with_value(headers, chance, chance.choice((None, b"")))


def _odd_text(headers: Headers, chance: Random) -> Headers:
    return _with_value(headers, chance, chance.choice(_TEXTS))


def _odd_value(headers: Headers, chance: Random) -> Headers:
    """Give a header that has rules of its own a value that tries them."""
    name = chance.choice(list(_VALUES))
    return [pair for pair in headers if pair[0] != name] + [(name, chance.choice(_VALUES[name]))]


def _odd_name(headers: Headers, chance: Random) -> Headers:
    at = chance.randrange(len(headers) + 1)
    return [*headers[:at], (chance.choice(_NAMES), chance.choice(_TEXTS)), *headers[at:]]


def _many(headers: Headers, chance: Random) -> Headers:
    name = chance.choice(("x-%d", "ce_x%d", "dl_%d"))
    return headers + [(name % number, b"1") for number in range(chance.choice((50, 1000)))]


def _shuffle(headers: Headers, chance: Random) -> Headers:
    return chance.sample(headers, len(headers))


def _with_value(headers: Headers, chance: Random, value: bytes | None) -> Headers:
    if not headers:
        return headers
    at = chance.randrange(len(headers))
    name, _ = headers[at]
    # Whoever keeps the books goes by the event's id: it may be missing, but not be another's.
    return [*headers[:at], (name, value if name != "ce_id" else None), *headers[at + 1 :]]


_WAYS: tuple[Callable[[Headers, Random], Headers], ...] = (
    _drop, _repeat, _blank, _odd_text, _odd_value, _odd_value, _odd_value, _odd_name, _many, _shuffle,
)  # fmt: skip
