"""Dead letters sent once more, parked and purged, over the wire: none twice, whenever the command is killed."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psutil
import pytest
from confluent_kafka import Message as KafkaMessage
from confluent_kafka import Producer

from schemas import topics
from schemas.deadletter import ATTEMPT_HEADER, REDRIVEN_HEADER, Failed, dead_letter_message, parse_dead_letter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin, frame_headers
from schemas.headers import Headers, last_text
from schemas.identity import sha256_hex
from sightline.cli.main import exit_code
from tests.pictures import corrupt_jpeg, headers, jpeg
from tests.world import SIGHTLINE, Published, World, wait_for

pytestmark = pytest.mark.services
CAMERA = "/cameras/1"
NAMES = {ATTEMPT_HEADER, REDRIVEN_HEADER}
Command = Callable[..., list[dict[str, Any]]]


def _lines(world: World, *arguments: str, expect: int = 0) -> list[dict[str, Any]]:
    printed = world.run("deadletters", *arguments, "--json", expect=expect)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture
def here(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """As `_lines`, in this process: without the time that it takes to start one."""
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert exit_code(["deadletters", *arguments]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def _headers(message: KafkaMessage) -> Headers:
    return cast("Headers", list(message.headers() or []))


def _redriven(world: World, topic: str) -> list[KafkaMessage]:
    return [message for message in world.read(topic) if last_text(_headers(message), REDRIVEN_HEADER) is not None]


def _states(world: World, attempt: int) -> dict[str, str]:
    query = "SELECT code, state FROM dead_letters WHERE pipeline = :pipeline AND attempt = :attempt"
    return dict(world.sql(query, attempt=attempt))


def _claimed(world: World, picture: bytes) -> tuple[None, Headers]:
    dataref = world.store.address(f"claims/{sha256_hex(picture)}")
    return None, frame_headers(
        event_id="claimed", source=CAMERA, media_type="image/jpeg", extensions={"dataref": dataref}
    )


def _produce(world: World, *records: tuple[str, bytes | None, bytes | None, Headers]) -> None:
    producer = Producer({"bootstrap.servers": world.bootstrap})
    for topic, key, value, written in records:
        producer.produce(topic, value, key, headers=list(written))
    assert producer.flush(30) == 0


def _five_failures(world: World, picture: bytes, large: bytes, ahead: datetime) -> list[Published]:
    """Make four frames and a result fail; `large` is larger than the dead-letter topic takes."""
    world.set_topic(topics.dead_letters(world.pipeline), "max.message.bytes", "300000")
    world.start_worker()
    world.start_sink("postgres")
    world.start_sink("objects")
    published = world.publish(
        [
            _claimed(world, picture),
            (jpeg(2), headers("ahead", CAMERA, captured_at=ahead)),
            (corrupt_jpeg(2), [*headers("broken", CAMERA), ("x", b"\xff"), ("x", None)]),
            (large, headers("large", CAMERA)),
        ]
    )
    _produce(world, (topics.results(world.pipeline), b"a", b"\xff\xfe", [("ce_type", b"sightline.result.v1")]))
    world.wait_for_rows(5)
    world.wait_until_settled()
    return published


def test_from_failure_to_answer_or_to_the_parking_topic(world: World, here: Command) -> None:
    """Of five causes two pass: an object comes late, a clock goes right. Of the others one is refused at first."""
    frames, results = topics.frames(world.pipeline), topics.results(world.pipeline)
    picture, large, ahead = jpeg(1), bytes(400_000), datetime.now(UTC) + timedelta(seconds=304)
    published = _five_failures(world, picture, large, ahead)
    first = _states(world, 1)
    assert (len(first), set(first.values())) == (5, {"open"})
    [(offloaded, dataref)] = world.sql("SELECT dl_id, dataref FROM dead_letters WHERE code = 'media_type_unknown'")
    assert dataref.startswith("s3://")
    saved = world.folder / "saved"
    here("save", offloaded, "-o", str(saved))
    assert saved.read_bytes() == large

    plan = here("redrive", "--pipeline", world.pipeline, "--dry-run", "--json")
    assert Counter(step["topic"] for step in plan) == {frames: 4, results: 1}
    assert {(step["action"], step["attempt"]) for step in plan} == {("redrive", 2)}
    assert (world.count(frames), world.sql("SELECT count(*) FROM dead_letter_actions")[0][0]) == (4, 0)

    world.store.put(f"claims/{sha256_hex(picture)}", picture, "image/jpeg")
    world.set_topic(frames, "max.message.bytes", "300000")
    wait_for(lambda: datetime.now(UTC) + timedelta(seconds=300) > ahead, 10, "the clock's hour")
    done = _lines(world, "redrive", "--pipeline", world.pipeline, "--as", "anna", expect=1)
    [refused] = [line for line in done if "action" not in line]
    assert (len(done), refused["dl_id"]) == (5, offloaded)
    assert "MSG_SIZE_TOO_LARGE" in refused["reason"]
    done.remove(refused)

    world.set_topic(frames, "max.message.bytes", "16777216")
    wait_for(lambda: world.count_rows() == (2, 7), 60, "2 results, and 2 failed again")
    again = _lines(world, "redrive", "--pipeline", world.pipeline, "--max-attempts", "2", "--as", "ben")
    parked = [line for line in again if line["action"] == "park"]
    assert ({line["topic"] for line in parked}, len(parked)) == ({topics.parked(world.pipeline)}, 2)
    assert {line["dl_id"] for line in again if line["action"] == "redrive"} == {offloaded}
    aside = world.read(topics.parked(world.pipeline))
    assert {parse_dead_letter(_headers(message)).dl_id for message in aside} == {line["dl_id"] for line in parked}

    sent = {last_text(_headers(message), "ce_id"): message for message in _redriven(world, frames)}
    for original in published:
        message = sent[last_text(original.headers, "ce_id")]
        assert (message.key(), message.value()) == (original.key, original.value)
        assert [pair for pair in _headers(message) if pair[0] not in NAMES] == original.headers
        assert last_text(_headers(message), ATTEMPT_HEADER) == "2"
    places = {(line["topic"], line["partition"], line["offset"]) for line in [*done, *again]}
    everywhere = [*sent.values(), *_redriven(world, results), *aside]
    assert {(message.topic(), message.partition(), message.offset()) for message in everywhere} == places

    wait_for(lambda: world.count_rows() == (2, 8), 60, "the large one failed again")
    world.wait_until_settled()
    passed = {"claim_not_found", "time_in_future"}
    assert _states(world, 1) == {code: "resolved" if code in passed else "redriven" for code in first}
    failed = first.keys() - passed
    assert _states(world, 2) == {code: "open" if code == "media_type_unknown" else "parked" for code in failed}
    assert world.sql(
        "SELECT actor, action, outcome, count(DISTINCT dl_id) FROM dead_letter_actions GROUP BY 1, 2, 3 ORDER BY 1, 3"
    ) == [
        ("anna", "redrive", "done", 4),
        ("anna", "redrive", "undone", 5),
        ("ben", "park", "done", 2),
        ("ben", "redrive", "done", 1),
    ]
    _purge(world, offloaded, here)


def _purge(world: World, offloaded: str, here: Command) -> None:
    """The objects go, the rows keep who and why, and nothing can be sent any more."""
    keys = [f"deadletters/{world.pipeline}/{dl_id}" for (dl_id,) in world.sql(
        "SELECT dl_id FROM dead_letters WHERE object_key IS NOT NULL OR dataref IS NOT NULL"
    )]  # fmt: skip
    assert len(keys) == 7  # the claimed one had no value
    assert all(world.store.stat(key) is not None for key in keys)
    assert len(here("purge", "--pipeline", world.pipeline, "--yes", "--json")) == 8
    assert [key for key in keys if world.store.stat(key) is not None] == []
    assert world.sql(
        "SELECT state, count(*) FROM dead_letters WHERE num_nonnulls(key, headers, object_key, dataref) = 0 GROUP BY 1"
    ) == [("purged", 8)]
    [shown] = here("show", offloaded, "--json")
    assert [(action["action"], action["outcome"]) for action in shown["actions"]][-2:] == [
        ("redrive", "done"),
        ("purge", "done"),
    ]
    assert here("redrive", "--pipeline", world.pipeline, "--json") == []
    counts = here("stats", "--pipeline", world.pipeline, "--camera", CAMERA, "--json")
    assert (sum(line["count"] for line in counts), sum(line["states"]["purged"] for line in counts)) == (6, 6)


def _store_letters(world: World, count: int) -> None:
    """Have rows of dead letters whose frames nobody has sent."""
    error = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "why")
    origins = [Origin(topics.frames(world.pipeline), 0, n) for n in range(count)]
    failed = [Failed(b"k", b"no picture %d" % n, headers(f"e{n}", CAMERA), origins[n], 0) for n in range(count)]
    now = datetime.now(UTC)
    letters = [dead_letter_message(world.pipeline, one, error, now=now, worker="w") for one in failed]
    _produce(world, *((letter.topic, letter.key, letter.value, letter.headers) for letter in letters))
    world.wait_for_rows(count)


def _record(message: KafkaMessage) -> tuple[bytes | None, bytes | None, Headers]:
    return message.key(), message.value(), _headers(message)


def test_what_is_parked_by_hand_lies_aside_and_is_not_sent(world: World, here: Command) -> None:
    world.start_sink("postgres")
    _store_letters(world, 2)
    [before] = [one for one in world.dead_letters() if last_text(_headers(one), "ce_id") == "e1"]
    dl_id, since = parse_dead_letter(_headers(before)).dl_id, datetime.now(UTC)
    [planned] = here("park", dl_id, "--as", "clara", "--dry-run", "--json")
    assert (planned["action"], world.count(topics.parked(world.pipeline))) == ("park", 0)
    [line] = here("park", dl_id, "--as", "clara", "--json")
    [aside] = world.read(topics.parked(world.pipeline))
    assert _record(aside) == _record(before)
    place = aside.topic(), aside.partition(), aside.offset()
    assert (line["dl_id"], line["action"]) == (dl_id, "park")
    assert (line["topic"], line["partition"], line["offset"]) == place
    query = "SELECT state, dl_id, state_changed_at FROM dead_letters ORDER BY state"
    (left, other, _), (state, parked, changed_at) = world.sql(query)
    assert (left, state, parked) == ("open", "parked", dl_id)
    assert since <= changed_at <= datetime.now(UTC)
    [(*said, acted_at, ended_at)] = world.sql(
        "SELECT dl_id, actor, action, outcome, target_topic, target_partition, target_offset, acted_at, ended_at"
        " FROM dead_letter_actions"
    )
    assert said == [dl_id, "clara", "park", "done", *place]
    assert since <= acted_at <= ended_at <= datetime.now(UTC)
    assert here("park", dl_id, "--as", "clara", "--json") == []
    assert here("redrive", "--pipeline", world.pipeline, "--json")[0]["dl_id"] == other
    [sent] = world.read(topics.frames(world.pipeline))
    assert last_text(_headers(sent), REDRIVEN_HEADER) == other
    assert len(world.read(topics.parked(world.pipeline))) == 1


def _redrive(world: World, *options: str, point: str | None = None) -> "subprocess.Popen[bytes]":
    env = world.env if point is None else {**world.env, "SIGHTLINE_FAULT_POINT": point}
    command = [SIGHTLINE, "deadletters", "redrive", "--pipeline", world.pipeline, *options]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_killed_half_way_and_run_again_nothing_is_sent_twice(world: World) -> None:
    """Killed in each dangerous window in turn, each run settling what the last one left; then frozen and outrun."""
    sink, frames = world.start_sink("postgres"), topics.frames(world.pipeline)
    _store_letters(world, 16)
    for point in ("redrive-claimed:1", "redrive-sent:1", "redrive-committed:1"):
        assert _redrive(world, "--rate", "4", point=point).wait(60) == -signal.SIGKILL
    assert len(_redriven(world, frames)) == 4
    assert world.sql("SELECT DISTINCT state FROM dead_letters") == [("open",)]

    with _redrive(world, "--rate", "4", point="redrive-sent:2:freeze") as frozen:
        process = psutil.Process(frozen.pid)
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED, 60, "the second batch of those left")
        assert len(world.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        )) == 1  # fmt: skip
        assert _redrive(world).wait(60) == 0
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(60) == 3
    assert Counter(last_text(_headers(message), REDRIVEN_HEADER) for message in _redriven(world, frames)) == Counter(
        dl_id for (dl_id,) in world.sql("SELECT dl_id FROM dead_letters")
    )
    assert world.sql("SELECT state, count(*) FROM dead_letters GROUP BY 1") == [("redriven", 16)]
    assert world.sql(
        "SELECT outcome, count(*), count(DISTINCT dl_id) FROM dead_letter_actions GROUP BY 1 ORDER BY 1"
    ) == [("done", 16, 16), ("undone", 12, 8)]
    sink.wait_ready()
