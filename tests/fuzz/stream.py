"""The stream of malformed messages: which kinds there are, how often each comes, and where it goes.

Every message has a number of its own in its event id or its place of origin, so that each answer tells whose it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from schemas import topics
from schemas.activation import ModelAddress
from schemas.headers import Headers
from schemas.replay import OverridesReference
from tests.fuzz import commands, envelopes, records
from tests.fuzz.pictures import picture, sound

ROLE = "detector"
_SOURCES = 12
# Bytes that are no UTF-8, in the name of a header: the usual clients cannot even send that.
RAW_NAMES = (b"\xff\xfe", b"ce_\xff", b"\xed\xa0\x80", b"x\xc0\x80")


@dataclass(frozen=True, slots=True)
class Malformed:
    """One message. `complaint`: its reader counts it as unreadable; None where it is answered instead."""

    kind: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    raw_name: bytes | None = None
    complaint: bool | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What messages refer to: overrides and models that are stored. `shared`: also topics of all pipelines."""

    pipeline: str
    overrides: Sequence[OverridesReference]
    models: Sequence[ModelAddress]
    shared: bool


def stream(surroundings: Surroundings, seed: int) -> Iterator[Malformed]:
    """Yield messages without end; the same seed gives the same ones."""
    chance = Random(seed)
    makers = _makers(surroundings)
    kinds = list(makers)
    weights = [_WEIGHTS[kind] for kind in kinds]
    number = 0
    while True:
        number += 1
        kind = chance.choices(kinds, weights)[0]
        yield makers[kind](kind, number, chance)


_Maker = Callable[[str, int, Random], Malformed]
_WEIGHTS: Mapping[str, float] = {
    "picture": 34, "headers": 12, "structured": 10, "header name": 1, "sound": 3, "replayed frame": 12, "activation": 3,
    "cancellation": 2, "result": 10, "EMR form": 2, "dead letter": 6, "artifact": 4, "alert": 1,
    "replay command": 2,
}  # fmt: skip


def _makers(around: Surroundings) -> Mapping[str, _Maker]:
    pipeline = around.pipeline
    frame = partial(_frame, pipeline)
    makers: dict[str, _Maker] = dict.fromkeys(("picture", "headers", "structured", "header name", "sound"), frame)
    makers |= {
        "replayed frame": partial(_again, around),
        "activation": partial(_activation, around),
        "cancellation": partial(_cancellation, pipeline),
        "result": _record(topics.results(pipeline), lambda _, chance: records.result(pipeline, chance)),
        "EMR form": _record(topics.results(pipeline), lambda _, chance: records.emr(chance)),
        "dead letter": _record(
            topics.dead_letters(pipeline), lambda number, chance: records.dead_letter(pipeline, number, chance)
        ),
        "artifact": _record(topics.artifacts(pipeline), lambda _, chance: records.artifact(pipeline, chance)),
    }
    if around.shared:
        makers["alert"] = _record(topics.ALERTS, lambda _, chance: records.alert(chance))
        makers["replay command"] = partial(_replay_command, pipeline)
    return makers


def _frame(pipeline: str, kind: str, number: int, chance: Random) -> Malformed:
    """Make a frame that is malformed in the way that its kind says, and now and then in its key or picture too."""
    topic, source = topics.frames(pipeline), f"/cameras/{chance.randrange(_SOURCES)}"
    whole = kind == "sound" or chance.random() < (0.02 if kind == "picture" else 0.7)
    data, media_type = sound(chance) if whole else picture(chance)
    if kind == "structured":
        event, headers = envelopes.structured(f"f{number}", source, media_type, data, chance)
        return Malformed(kind, topic, source.encode(), event, headers)
    headers = envelopes.plain_headers(f"f{number}", source, media_type)
    if kind == "headers":
        headers = envelopes.malformed_headers(headers, chance)
    key = source.encode() if chance.random() < 0.95 else chance.choice((None, b"", b"\xff\0", b"k" * 900))
    value = data if kind == "sound" or chance.random() < 0.98 else chance.choice((None, b""))
    return Malformed(kind, topic, key, value, headers, chance.choice(RAW_NAMES) if kind == "header name" else None)


def _again(around: Surroundings, kind: str, number: int, chance: Random) -> Malformed:
    data, media_type = sound(chance) if chance.random() < 0.5 else picture(chance)
    original = envelopes.plain_headers(f"r{number}", "/cameras/again", media_type)
    if chance.random() < 0.15:
        original = envelopes.malformed_headers(original, chance)
    headers = commands.replayed(around.pipeline, original, number, around.overrides, chance)
    return Malformed(kind, topics.frames_replay(around.pipeline), b"/cameras/again", data, headers)


def _activation(around: Surroundings, kind: str, _: int, chance: Random) -> Malformed:
    value, complaint = commands.activation(around.pipeline, ROLE, around.models, chance)
    return Malformed(kind, topics.activations(around.pipeline, ROLE), ROLE.encode(), value, [], complaint=complaint)


def _cancellation(pipeline: str, kind: str, number: int, chance: Random) -> Malformed:
    value, complaint = commands.cancellation(pipeline, chance)
    return Malformed(kind, topics.replays(pipeline), b"fuzz%d" % number, value, [], complaint=complaint)


def _replay_command(pipeline: str, kind: str, number: int, chance: Random) -> Malformed:
    value, headers, complaint = commands.replay_command(pipeline, number, chance)
    return Malformed(kind, topics.REPLAY_COMMANDS, b"fuzz", value, headers, complaint=complaint)


def _record(topic: str, make: Callable[[int, Random], tuple[bytes | None, Headers]]) -> _Maker:
    def made(kind: str, number: int, chance: Random) -> Malformed:
        value, headers = make(number, chance)
        return Malformed(kind, topic, b"fuzz", value, headers)

    return made
