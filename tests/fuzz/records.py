"""Malformed records for the topics that sinks read: results, dead letters, artifacts, alerts."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from typing import Any

from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.message import ARTIFACT_TYPE
from schemas.result import RESULT_TYPE
from tests.fuzz.damage import damaged
from tests.fuzz.envelopes import any_json, malformed_headers, malformed_json

# No frame has it: what the worker says and what was made up here stay apart.
NOWHERE = "frames.nowhere"
_NOW = "2026-01-01T12:00:00.000000Z"
_EVENT: Headers = [("ce_specversion", b"1.0"), ("ce_time", _NOW.encode()), ("content-type", b"application/json")]


def result(pipeline: str, chance: Random) -> tuple[bytes | None, Headers]:
    """Return a result that is malformed in its JSON, in its headers, or is no result at all."""
    result_id = _uuid(chance)
    body: dict[str, Any] = {
        "result_id": result_id, "frame_id": _uuid(chance), "event_id": "e", "pipeline": pipeline, "kind": "frame",
        "variant": "live", "source": "/cameras/made-up", "captured_at": _NOW, "processed_at": _NOW, "verdict": "polyp",
        "score": 71.5, "quality": {"score": 80.0, "level": "good", "checks": [
            {"name": "blur", "passed": True, "value": 1.0, "score": 100.0, "weight": 1.0, "reason": "sharp"}]},
        "image": {"width": 64, "height": 48, "media_type": "image/jpeg", "size_bytes": 9, "sha256": "0" * 64},
        "detections": [{"class": "polyp", "class_id": 0, "confidence": 0.5, "bbox": [1.0, 2.0, 3.0, 4.0]}],
        "models": [{"role": "detector", "name": "m", "version": "1", "digest": "0" * 64}],
        "origin": {"topic": NOWHERE, "partition": 0, "offset": 1}, "timings_ms": {"decode": 1.0},
        "artifacts": [{"kind": "overlay", "key": "k", "sha256": "0" * 64, "media_type": "image/png", "size_bytes": 1}],
    }  # fmt: skip
    headers: Headers = [*_EVENT, ("ce_type", RESULT_TYPE.encode()), ("ce_id", result_id.encode())]
    return _value(body, chance), _maybe(headers, chance)


def emr(chance: Random) -> tuple[bytes | None, Headers]:
    """Return what hospital systems are sent, malformed, where a result should be."""
    body: dict[str, Any] = {
        "detections": [{"bbox": [1.0, 2.0, 3.0, 4.0], "confidence": 0.9, "class": "polyp"}],
        "processed_at": _NOW, "model_version": "demo/1",
    }  # fmt: skip
    return _value(body, chance), _maybe([*_EVENT, ("ce_type", RESULT_TYPE.encode())], chance)


def alert(chance: Random) -> tuple[bytes | None, Headers]:
    """Return a malformed alert."""
    body: dict[str, Any] = {
        "alert_id": _uuid(chance), "rule": "offsets-lost", "severity": "warning", "source": "/s", "window": "w",
        "raised_at": _NOW, "summary": "made up",
        "facts": {"group": "g", "topic": "t", "partition": 0, "from_offset": 0, "to_offset": 1},
    }  # fmt: skip
    return _value(body, chance), _maybe([*_EVENT, ("ce_type", b"sightline.alert.v1")], chance)


def dead_letter(pipeline: str, number: int, chance: Random) -> tuple[bytes | None, Headers]:
    """Return a dead letter whose last block, or whose original, is malformed."""
    value = chance.choice((None, b"", chance.randbytes(40)))
    failed = Failed(None, value, [("ce_source", b"/cameras/made-up")], Origin(NOWHERE, 0, number), number)
    error = InputError(chance.choice(list(Code)), chance.choice(list(Stage)), "made up")
    message = dead_letter_message(pipeline, failed, error, now=datetime(2026, 1, 1, tzinfo=UTC), worker="fuzz")
    headers = [(name, _odd(text, chance) if chance.random() < 0.2 else text) for name, text in message.headers]
    headers = [pair for pair in headers if chance.random() > 0.05 or pair[0] == "dl_topic"]
    return message.value, _maybe(headers, chance)


def artifact(pipeline: str, chance: Random) -> tuple[bytes | None, Headers]:
    """Return an artifact whose name does not fit, is no name, or whose headers are malformed."""
    value = chance.choice((None, b"", chance.randbytes(50), chance.randbytes(50)))
    digest = sha256(value or b"").hexdigest()
    key = chance.choice((
        f"pictures/{digest[:2]}/{digest}.jpg", f"pictures/{digest[:2]}/{digest[::-1]}.jpg", f"overlays/{digest}.png",
        "", "/", "..", "../../x", "a//b", "a/./b", "\0", "x" * 1025, "\u202e", "a\nb", f"fuzz/{digest}/\u00e9", ".",
    ))  # fmt: skip
    headers: Headers = [*_EVENT, ("ce_type", ARTIFACT_TYPE.encode()), ("ce_id", key.encode())]
    if chance.random() < 0.1:
        headers.append(("ce_dataref", f"s3://{pipeline}/{key}".encode()))
    return value, _maybe(headers, chance)


def _value(body: dict[str, Any], chance: Random) -> bytes | None:
    """Change a field of the JSON somewhere, or its bytes, or leave it as it is."""
    kind = chance.random()
    if kind < 0.05:
        return None
    if kind < 0.6:
        _change(body, chance)
    text = json.dumps(body)
    return malformed_json(text, chance) if kind > 0.45 and chance.random() < 0.8 else text.encode()


def _change(holder: Any, chance: Random) -> None:
    """Put something else in the place of one value, however deep; or take it away."""
    place: Any = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    inner = holder[place]
    if isinstance(inner, dict | list) and inner and chance.random() < 0.7:
        _change(inner, chance)
    elif isinstance(holder, dict) and chance.random() < 0.2:
        del holder[place]
    elif place not in {"result_id", "alert_id"} or chance.random() < 0.3:
        holder[place] = any_json(chance)


def _maybe(headers: Headers, chance: Random) -> Headers:
    """Damage headers now and then. A type of another version is never made: for that a sink waits, as it should."""
    return malformed_headers(headers, chance) if chance.random() < 0.3 else headers


def _odd(text: bytes | None, chance: Random) -> bytes | None:
    odd: tuple[Callable[[], bytes | None], ...] = (
        lambda: None, lambda: b"", lambda: b"-1", lambda: b"9" * 30, lambda: b"\xff", lambda: b"a\0b",
        lambda: damaged(text or b"0", chance), lambda: b"x" * 3000, lambda: b"\xd9\xa1",
    )  # fmt: skip
    return chance.choice(odd)()


def _uuid(chance: Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))
