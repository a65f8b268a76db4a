"""The auditor: compares every acknowledged publish with topics, rows and objects, and lists what does not fit.

It is itself proven: a planted loss, double and changed byte must each be reported.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Message as KafkaMessage

from schemas import topics
from schemas.deadletter import original_headers, parse_dead_letter
from schemas.errors import InputError
from schemas.frame import Origin, parse_frame
from schemas.headers import Headers
from sightline.runtime.objectstore import ObjectNotFoundError
from tests.world import Published, World

Place = tuple[str, int, int]
_READERS = 8


@dataclass(frozen=True, slots=True)
class LetterCopy:
    """A dead letter as it stands on its topic."""

    dl_id: str
    origin: Place
    key: bytes | None
    value: bytes | None
    headers: Headers
    code: str
    stage: str


@dataclass(slots=True)
class Evidence:
    """All that the system says it did."""

    published: list[Published]
    topic_results: list[dict[str, Any]]
    topic_letters: list[LetterCopy]
    result_rows: list[tuple[str, str, Place]]  # result_id, frame_id, origin; of live results
    letter_rows: list[tuple[str, Place, str | None]]  # dl_id, origin, object key
    artifact_rows: list[tuple[str, str]] = field(default_factory=list)  # key, sha256
    objects: dict[str, str] = field(default_factory=dict)  # key, sha256 of what is stored
    shadow_rows: list[tuple[str, str]] = field(default_factory=list)  # result_id, frame_id


def audit(evidence: Evidence) -> list[str]:
    """Return every finding; none when all is in order."""
    return [
        *_answered(evidence),
        *_once(evidence),
        *intact(evidence),
        *_shadows_follow(evidence),
    ]


def intact(evidence: Evidence) -> list[str]:
    """Return what is wrong with what dead letters and objects hold, whoever was answered and how often."""
    return [*_letters_intact(evidence), *_objects_intact(evidence)]


def _answered(evidence: Evidence) -> Iterable[str]:
    """Each frame has one answer: rows and topics agree, and nothing is answered that was not asked."""
    frames = {published.origin: _frame_id(published) for published in evidence.published}
    known_frames = {frame for frame in frames.values() if frame is not None}
    for name, results, letters in (
        (
            "rows",
            {frame: origin for _, frame, origin in evidence.result_rows},
            {origin for _, origin, _ in evidence.letter_rows},
        ),
        (
            "topics",
            {
                result["frame_id"]: _place(result["origin"])
                for result in evidence.topic_results
                if result.get("variant", "live") == "live"
            },
            {letter.origin for letter in evidence.topic_letters},
        ),
    ):
        for origin, frame in frames.items():
            answers = (frame in results) + (origin in letters)
            if answers == 0:
                yield f"lost: {origin} has no answer in {name}"
            elif answers > 1:
                yield f"double: {origin} has a result and a dead letter in {name}"
        for frame in results.keys() - known_frames:
            there = frames.get(results[frame], "nobody")
            yield f"made up: a result in {name} of frame {frame} at {results[frame]}, where {there} was published"
        for origin in letters - frames.keys():
            yield f"made up: a dead letter in {name} of {origin}, where nobody published"


def _once(evidence: Evidence) -> Iterable[str]:
    for what, ids in (
        ("result_id", [row[0] for row in evidence.result_rows]),
        ("frame", [row[1] for row in evidence.result_rows]),
        ("dl_id", [row[0] for row in evidence.letter_rows]),
        ("dead letter's origin", [row[1] for row in evidence.letter_rows]),
    ):
        for value, count in Counter(ids).items():
            if count > 1:
                yield f"double: {what} {value} has {count} rows"


def _letters_intact(evidence: Evidence) -> Iterable[str]:
    published = {item.origin: item for item in evidence.published}
    for letter in evidence.topic_letters:
        original = published.get(letter.origin)
        if original is None:
            continue  # reported as made up
        if letter.value != original.value:
            yield f"changed: the value of dead letter {letter.dl_id}"
        if letter.headers != original.headers:
            yield f"changed: the headers of dead letter {letter.dl_id}"
        if letter.key != original.key:
            yield f"changed: the key of dead letter {letter.dl_id}"


def _objects_intact(evidence: Evidence) -> Iterable[str]:
    for key, sha256 in evidence.artifact_rows:
        if key not in evidence.objects:
            yield f"missing: no object {key}"
        elif evidence.objects[key] != sha256:
            yield f"changed: object {key}"
    values = {letter.dl_id: letter.value for letter in evidence.topic_letters}
    for dl_id, _, letter_key in evidence.letter_rows:
        value = values.get(dl_id)
        if letter_key is None or value is None:
            continue
        if letter_key not in evidence.objects:
            yield f"missing: no object {letter_key} of dead letter {dl_id}"
        elif evidence.objects[letter_key] != hashlib.sha256(value).hexdigest():
            yield f"changed: object {letter_key} of dead letter {dl_id}"


def _shadows_follow(evidence: Evidence) -> Iterable[str]:
    """A shadow's result stands beside a live one of the same frame, once."""
    answered = {frame for _, frame, _ in evidence.result_rows}
    for frame, count in Counter(frame for _, frame in evidence.shadow_rows).items():
        if count > 1:
            yield f"double: frame {frame} has {count} rows of a shadow"
        if frame not in answered:
            yield f"alone: the shadow's row of frame {frame} has no live one beside it"


def _place(origin: Mapping[str, Any]) -> Place:
    return origin["topic"], origin["partition"], origin["offset"]


def _frame_id(published: Published) -> str | None:
    """Return the id that the frame must have, or None when its envelope is broken."""
    try:
        origin = Origin(*published.origin)
        return parse_frame(published.value, published.headers, origin, published.timestamp_ms).frame_id
    except InputError:
        return None


def collect(world: World, published: Sequence[Published]) -> Evidence:
    """Read all evidence of a world about its live frames; the answers of replays stand apart."""
    rows = world.sql(
        "SELECT result_id::text, frame_id::text, origin_topic, origin_partition, origin_offset, variant FROM results"
        " WHERE pipeline = :pipeline AND replay_id IS NULL"
    )
    letters = world.sql(
        "SELECT dl_id::text, origin_topic, origin_partition, origin_offset, object_key FROM dead_letters"
        " WHERE pipeline = :pipeline AND replay_id IS NULL"
    )
    artifacts = world.sql(
        "SELECT DISTINCT a.key, a.sha256 FROM artifacts a JOIN results r USING (result_id, captured_at)"
        " WHERE r.pipeline = :pipeline"
    )
    keys = [key for key, _ in artifacts] + [row[4] for row in letters if row[4] is not None]
    with ThreadPoolExecutor(_READERS) as readers:
        digests = dict(zip(keys, readers.map(lambda key: _digest(world, key), keys), strict=True))
    objects = {key: digest for key, digest in digests.items() if digest is not None}
    replayed = topics.frames_replay(world.pipeline)
    topic_letters = [read_letter(message) for message in world.dead_letters()]
    return Evidence(
        published=[*published, *_appended_twice(world, published)],
        topic_results=[result for result in world.results() if result.get("replay_id") is None],  # or promoted
        topic_letters=[letter for letter in topic_letters if letter.origin[0] != replayed],
        result_rows=[(row[0], row[1], (row[2], row[3], row[4])) for row in rows if row[5] == "live"],
        letter_rows=[(row[0], (row[1], row[2], row[3]), row[4]) for row in letters],
        artifact_rows=[(key, sha256) for key, sha256 in artifacts],
        objects=objects,
        shadow_rows=[(row[0], row[1]) for row in rows if row[5] == "shadow"],
    )


def _appended_twice(world: World, published: Sequence[Published]) -> list[Published]:
    """Find what the client appended a second time, of what it said it had appended once.

    An idempotent producer of librdkafka does so now and then when a partition's leader answers with errors
    (https://github.com/confluentinc/librdkafka/issues/4953). A record without `ce_time` is a frame of its own there.
    """
    topic = topics.frames(world.pipeline)
    if world.count(topic) <= len(published):
        return []
    known = {item.origin for item in published}
    acknowledged = {(item.key, item.value, tuple(item.headers)) for item in published}
    return [
        item
        for item in map(_as_published, world.read(topic))
        if item.origin not in known and (item.key, item.value, tuple(item.headers)) in acknowledged
    ]


def _as_published(message: KafkaMessage) -> Published:
    headers = cast("Headers", list(message.headers() or []))
    place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
    return Published(*place, message.timestamp()[1], message.key(), message.value(), headers)


def _digest(world: World, key: str) -> str | None:
    """Return the SHA-256 of a stored object, or None where there is none."""
    try:
        return hashlib.sha256(world.store.get(key, max_bytes=64 * 1024 * 1024)).hexdigest()
    except ObjectNotFoundError:
        return None


def read_letter(message: KafkaMessage) -> LetterCopy:
    headers = cast("Headers", list(message.headers() or []))
    letter = parse_dead_letter(headers)
    origin = (letter.origin.topic, letter.origin.partition, letter.origin.offset)
    return LetterCopy(
        letter.dl_id, origin, message.key(), message.value(), original_headers(headers), letter.code, letter.stage
    )


def assert_sound(world: World, published: Sequence[Published]) -> Evidence:
    """Wait until worker and sinks have come to rest, collect, audit, and fail with the findings."""
    world.wait_until_settled()
    evidence = collect(world, published)
    findings = audit(evidence)
    assert not findings, (
        f"{len(findings)} findings:\n" + "\n".join(findings[:20]) + f"\n{json.dumps(world.count_rows())}"
    )
    return evidence
