"""Malformed commands: frames that are sent once more, cancellations of replays, activations of models."""

import json
import uuid
from collections.abc import Sequence
from random import Random
from typing import Any

from pydantic import ValidationError

from schemas import topics
from schemas.activation import Activation, ModelAddress
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.replay import OverridesReference, Replayed, ReplayState, replay_headers
from schemas.replaycommand import COMMAND_TYPE, name_of
from tests.fuzz.damage import damaged
from tests.fuzz.envelopes import any_json, malformed_headers, malformed_json

_NOW = "2026-01-01T12:00:00.000000Z"
_NUMBERS = (b"-1", b"0", b"9" * 19, b"9" * 30, b"", b"x", b"1.0", b"+1", b" 1", "\u0661".encode(), b"\xff", None)
_TEXTS = (
    b"", None, b"\0", b"\xff\xfe", b"x" * 5000, b"{}", b'{"a":1e999}', b'{"Make":"\\ud800"}', b'{"a":[1]}', b"null",
    b"-" * 36, b"0" * 64, b"a" * 63, b"s3://elsewhere/k", b"postgres:replay_overrides/x", b"UPPER", b"true",
)  # fmt: skip


def replayed(
    pipeline: str, original: Headers, number: int, known: Sequence[OverridesReference], chance: Random
) -> Headers:
    """Return the headers of a frame that is sent once more, its last block malformed more often than not."""
    block = replay_headers(
        Replayed(
            replay_id=f"fuzz-{chance.randrange(20)}",
            origin=Origin(topics.frames(pipeline), chance.randrange(12), number),
            timestamp_ms=1_767_268_800_000,
            overrides=_overrides(known, chance),
            frame_id=None if chance.random() < 0.7 else str(uuid.UUID(int=chance.getrandbits(128))),
            headers_lost=chance.random() < 0.02,
            metadata=None if chance.random() < 0.8 else {"make": "Canon", "iso": 100, "aperture": 1.8},
        )
    )
    for _ in range(chance.choice((0, 1, 1, 2))):
        at = chance.randrange(len(block))
        name, value = block[at]
        odd = chance.choice((*_NUMBERS, *_TEXTS, damaged(value or b"0", chance)))
        block[at : at + 1] = chance.choice(
            ([], [(name, odd)], [(name, odd)], [(name, odd), (name, value)], [("", odd)])
        )
    block += [("sightline_replay_unknown", b"\xff")] if chance.random() < 0.1 else []
    return original + block if chance.random() < 0.9 else block + original


def cancellation(pipeline: str, chance: Random) -> tuple[bytes | None, bool]:
    """Return the state of a replay, and whether whoever reads it has to complain."""
    body: dict[str, Any] = {
        "replay_id": f"fuzz-{chance.randrange(40)}", "pipeline": pipeline, "state": "cancelled", "changed_at": _NOW,
        "changed_by": "fuzz",
    }  # fmt: skip
    value = _changed(body, chance)
    try:
        ReplayState.model_validate_json(value or b"")
    except ValidationError:
        return value, value is not None
    return value, False


def activation(pipeline: str, role: str, models: Sequence[ModelAddress], chance: Random) -> tuple[bytes | None, bool]:
    """Return which models are in force, and whether whoever reads it has to complain."""
    address = [model.model_dump(mode="json") for model in chance.choices(models, k=4)]
    body: dict[str, Any] = {
        "activation_id": str(uuid.UUID(int=chance.getrandbits(128))), "pipeline": pipeline, "role": role,
        "live": address[0], "shadow": address[1], "previous": address[2],
        "canary": {"model": address[3], "share": 0.5, "by": "frame", "salt": "s"},
        "activated_at": _NOW, "activated_by": "fuzz",
    }  # fmt: skip
    value = _changed(body, chance)
    try:
        read = Activation.model_validate_json(value or b"")
    except ValidationError:
        return value, True
    return value, (read.pipeline, read.role) != (pipeline, role)


def replay_command(pipeline: str, number: int, chance: Random) -> tuple[bytes | None, Headers, bool]:
    """Return a command of another system, its headers, and whether nobody can be answered.

    None of them lets a replay begin: plans are made, and what is refused is refused.
    """
    action = chance.choice(("plan", "start", "pause", "resume", "cancel", "promote", "compare", "status", "erase"))
    body: dict[str, Any] = {"action": action, "requested_by": "fuzz"}
    if action == "plan":
        body |= {"pipeline": pipeline, "selection": {"offsets": {"0": [0, 5]}, "cameras": ["/cameras/1"]}}
        body["overrides"] = {"set": {"quality.pass_score": 90}, "models": {"detector": "gone@1"}}
    elif chance.random() < 0.5:
        body |= {"pipeline": "nowhere", "selection": {"arrived_from": _NOW}, "rate": 5.0, "max_live_lag": 9}
    else:
        body |= {"replay_id": f"unknown-{number}", "partial": True}
    headers: Headers = [
        ("ce_specversion", b"1.0"), ("ce_type", COMMAND_TYPE.encode()), ("ce_id", b"c%d" % number),
        ("ce_source", b"/planners/fuzz"), ("content-type", b"application/json"),
    ]  # fmt: skip
    if chance.random() < 0.4:
        headers = malformed_headers(headers, chance)
    return _changed(body, chance), headers, name_of(headers) is None


def _changed(body: dict[str, Any], chance: Random) -> bytes | None:
    kind = chance.random()
    if kind < 0.05:
        return None
    for _ in range(chance.choice((0, 1, 1, 3))):
        holders = [one for one in (body, *body.values()) if isinstance(one, dict) and one]
        if not holders:
            break
        holder = chance.choice(holders)
        place = chance.choice(list(holder))
        holder[place] = any_json(chance)
        if chance.random() < 0.2:
            del holder[place]
    text = json.dumps(body)
    return malformed_json(text, chance) if kind > 0.6 else text.encode()


def _overrides(known: Sequence[OverridesReference], chance: Random) -> OverridesReference | None:
    """Mostly none; else what is stored, or a document that is not there."""
    kind = chance.random()
    if kind < 0.8:
        return None
    if kind < 0.95:
        return chance.choice(known)
    digest = f"{chance.randrange(5):064x}"
    return OverridesReference(digest, f"s3://elsewhere/replays/overrides/{digest}.json")
