"""Whether each message is accounted for: what was sent, against topics, rows, objects, metrics and logs."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas import topics
from schemas.deadletter import parse_dead_letter
from schemas.headers import Headers, last_text
from tests.fuzz.sending import Place, Sender
from tests.world import World

_SILENT_S = 60


@dataclass
class Books:
    """What was found. `findings` is empty where each message is accounted for once."""

    findings: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)  # kind, what became of it
    frames: int = 0  # those among the messages, sound ones left out
    codes: Counter[str] = field(default_factory=Counter)
    repeats: int = 0


@dataclass
class _Said:
    """What the topics hold: answers by the place that they answer, and records that must be rows or objects."""

    results: Counter[Place] = field(default_factory=Counter)
    letters: Counter[Place] = field(default_factory=Counter)
    codes: dict[Place, str] = field(default_factory=dict)
    result_ids: dict[Place, str | None] = field(default_factory=dict)
    letter_ids: dict[Place, str | None] = field(default_factory=dict)
    alert_ids: dict[Place, str | None] = field(default_factory=dict)
    artifact_keys: dict[Place, str | None] = field(default_factory=dict)


def account(world: World, sender: Sender) -> Books:
    """Compare everything."""
    said, books = _listen(world, sender), Books()
    _check_answers(world, sender, said, books)
    _check_rows(world, said, books)
    _check_objects(world, said, books)
    if topics.REPLAY_COMMANDS in sender.complaints:
        _check_commands(world, sender, books)
    books.codes.update(said.codes.values())
    for place, kind in sender.places.items():
        if place[0] not in _asked(world):
            books.answers[kind, "dead letter" if said.letters[place] else "stored"] += 1
    return books


def _listen(world: World, sender: Sender) -> _Said:
    said, pipeline = _Said(), world.pipeline
    for message in _records(world, topics.results(pipeline), topics.results_replay(pipeline)):
        place, result = _place(message), _json(message)
        said.result_ids[place] = _text(result.get("result_id"))
        if place in sender.places or result["variant"] != "live":
            continue
        if place[0] == topics.results(pipeline):
            origin = result["origin"]
            said.results[origin["topic"], origin["partition"], origin["offset"]] += 1
        else:
            said.results[sender.events[result["event_id"]]] += 1
    for message in _records(world, topics.dead_letters(pipeline)):
        place, headers = _place(message), cast("Headers", list(message.headers() or []))
        said.letter_ids[place] = last_text(headers, "dl_id")
        if place not in sender.places:
            letter = parse_dead_letter(headers)
            answered = (letter.origin.topic, letter.origin.partition, letter.origin.offset)
            said.letters[answered] += 1
            said.codes[answered] = f"{letter.stage} {letter.code}"
    for message in _records(world, topics.artifacts(pipeline)):
        headers = cast("Headers", list(message.headers() or []))
        said.artifact_keys[_place(message)] = last_text(headers, "ce_id")
    for message in _records(world, topics.ALERTS):
        place, alert = _place(message), _json(message)
        if place in sender.places or alert.get("pipeline") == pipeline:  # everybody's alerts are there
            said.alert_ids[place] = _text(alert.get("alert_id"))
    return said


def _check_answers(world: World, sender: Sender, said: _Said, books: Books) -> None:
    """Each frame, live or sent once more, has one result or one dead letter."""
    asked = _asked(world)
    places = dict.fromkeys((place for topic in asked for place in _all_places(world, topic)), "header name")
    places |= {place: kind for place, kind in sender.places.items() if place[0] in asked}
    if sum(kind == "header name" for kind in places.values()) != sender.unplaced.total():
        books.findings.append("the topics of frames hold something else than was sent")
    for place, kind in places.items():
        results, letters = said.results[place], said.letters[place]
        books.repeats += max(results, letters) - 1
        if results + letters != 1:
            books.findings.append(f"{kind} at {place}: {results} results, {letters} dead letters")
        books.answers[kind, "result" if results else "dead letter"] += 1
        books.frames += kind != "sound"
    ours = places.keys() | said.result_ids.keys() | said.artifact_keys.keys() | said.alert_ids.keys()
    books.findings += [f"made up: an answer to {place}" for place in (said.results + said.letters).keys() - ours]


def _asked(world: World) -> set[str]:
    return {topics.frames(world.pipeline), topics.frames_replay(world.pipeline)}


def _check_rows(world: World, said: _Said, books: Books) -> None:
    """Each result and alert has a row or a dead letter, and each dead letter a row."""
    results = {row[0] for row in world.sql("SELECT result_id::text FROM results")}
    alerts = {row[0] for row in world.sql("SELECT alert_id::text FROM alerts")}
    letters = {row[0] for row in world.sql("SELECT dl_id::text FROM dead_letters")}
    stored = {tuple(row) for row in world.sql("SELECT dl_topic, dl_partition, dl_offset FROM dead_letters")}
    for kind, ids, known in (("result", said.result_ids, results), ("alert", said.alert_ids, alerts)):
        for place, one in ids.items():
            # A second record of the same id is stored by the first; this one may have been refused all the same.
            if (one not in known) and not said.letters[place]:
                books.findings.append(f"lost: the {kind} at {place} has neither row nor dead letter")
            if said.letters[place] > 1:
                books.findings.append(f"double: the {kind} at {place} has {said.letters[place]} dead letters")
    books.findings += [
        f"lost: the dead letter at {place} has no row"
        for place, dl_id in said.letter_ids.items()
        if place not in stored and dl_id not in letters
    ]


def _check_objects(world: World, said: _Said, books: Books) -> None:
    """Each picture to keep is an object or a dead letter, and so is what dead letters and results point to."""
    objects = {info.key for info in world.store.list()}
    for place, key in said.artifact_keys.items():
        # Another record may have stored an object of the same name.
        if said.letters[place] > 1 or (not said.letters[place] and key not in objects):
            books.findings.append(f"the artifact at {place}: {key in objects=}, {said.letters[place]} dead letters")
    wanted = world.sql(
        "SELECT object_key FROM dead_letters WHERE object_key IS NOT NULL AND NOT starts_with(dl_topic, 'x')"
    )
    books.findings += [f"lost: no object {row[0]}" for row in wanted if row[0] not in objects]


def _check_commands(world: World, sender: Sender, books: Books) -> None:
    """Each command that has a name is answered once."""
    answered = Counter(str(_json(message)["command_id"]) for message in _records(world, topics.REPLAY_ANSWERS))
    asked = {event_id for event_id, place in sender.events.items() if place[0] == topics.REPLAY_COMMANDS}
    books.findings += [f"command {one} has {answered[one]} answers" for one in asked if answered[one] != 1]
    books.findings += [f"made up: an answer to command {one}" for one in answered.keys() - asked]


def _records(world: World, *names: str) -> Iterator[Message]:
    """Yield the records of topics up to their present end, without keeping any."""
    settings: dict[str, Any] = {
        "bootstrap.servers": world.bootstrap, "group.id": "tests.fuzz", "enable.auto.commit": False,
        "enable.partition.eof": True, "receive.message.max.bytes": 200_000_000,
    }  # fmt: skip
    with closing(Consumer(settings)) as consumer:
        places = [TopicPartition(name, number, 0) for name in names for number in world.partitions(name)]
        consumer.assign(places)
        unfinished, heard = len(places), time.monotonic()
        while unfinished:
            assert time.monotonic() - heard < _SILENT_S, f"{names} were not read to their ends"
            for message in consumer.consume(500, 0.5):
                heard = time.monotonic()
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    unfinished -= 1


def _all_places(world: World, topic: str) -> Iterator[Place]:
    with closing(Consumer({"bootstrap.servers": world.bootstrap, "group.id": "tests.fuzz"})) as consumer:
        for number in world.partitions(topic):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            yield from ((topic, number, offset) for offset in range(low, high))


def _place(message: Message) -> Place:
    return message.topic() or "", message.partition() or 0, message.offset() or 0


def _json(message: Message) -> dict[str, Any]:
    try:
        value = json.loads(message.value() or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
