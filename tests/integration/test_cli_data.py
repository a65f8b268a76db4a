"""`sightline publish`, `results` and `deadletters` on the whole data path, as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas import topics
from schemas.encoding import format_time, from_timestamp_ms
from schemas.frame import INLINE_LIMIT_BYTES
from schemas.identity import sha256_hex
from tests.pictures import jpeg, truncated_jpeg
from tests.world import World, wait_for

pytestmark = pytest.mark.services
_PROGRAM = [sys.executable, "-m", "sightline.cli.main"]


def _run(world: World, *arguments: str, expect: int = 0, stdin: bytes = b"", without: str = "") -> bytes:
    env = {name: value for name, value in world.env.items() if name != without}
    done = subprocess.run([*_PROGRAM, *arguments], env=env, input=stdin, capture_output=True, timeout=120, check=False)
    assert done.returncode == expect, (done.stdout, done.stderr)
    return done.stdout


def _json(world: World, *arguments: str, expect: int = 0, without: str = "") -> list[dict[str, Any]]:
    out = _run(world, *arguments, "--json", expect=expect, without=without)
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(jpeg(number))
    (folder / "broken.jpg").write_bytes(truncated_jpeg(7))
    return folder


def test_from_files_to_results_and_dead_letters(world: World, photos: Path) -> None:
    world.start_all()
    published = _json(world, "publish", world.pipeline, str(photos), "--camera", "/c/1")
    assert [Path(line["file"]).name for line in published] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "broken.jpg"]
    assert {line["topic"] for line in published} == {topics.frames(world.pipeline)}
    assert len({line["partition"] for line in published}) == 1
    world.wait_for_rows(5)

    results = _json(world, "results", world.pipeline, "--from", "beginning", "--limit", "4")
    assert {result["event_id"] for result in results} == {line["event_id"] for line in published[:4]}
    assert _json(world, "results", world.pipeline, "--from", "beginning", "--source", "/c/2", "--until-idle", "1") == []

    (letter,) = _json(world, "deadletters", "list", "--pipeline", world.pipeline)
    assert (letter["code"], letter["source"], letter["state"]) == ("picture_truncated", "/c/1", "open")
    assert letter["event_id"] == published[4]["event_id"]
    assert _json(world, "deadletters", "show", letter["dl_id"]) == [letter | {"actions": []}]
    wait_for(lambda: world.store.stat(letter["object_key"]), 30, "the original bytes in the object store")
    assert _run(world, "deadletters", "save", letter["dl_id"]) == truncated_jpeg(7)


def test_the_same_files_twice_are_one_result_each(world: World, photos: Path) -> None:
    for _ in range(2):
        _run(world, "publish", world.pipeline, str(photos), "--camera", "/c/1")
    world.start_all()
    world.wait_for_rows(6)  # 4 results, and a dead letter for each of two records
    world.wait_for_lag(topics.group("worker", world.pipeline), [topics.frames(world.pipeline)])
    world.wait_for_lag(topics.group("sink-postgres", world.pipeline), [topics.results(world.pipeline)])
    assert world.count_rows() == (4, 2)


def test_dead_letters_can_be_read_without_database_and_object_store(world: World, photos: Path) -> None:
    world.start_worker().wait_ready()
    _run(world, "publish", world.pipeline, str(photos / "broken.jpg"), "--camera", "/c/1")
    wait_for(world.dead_letters, 30, "the dead letter")
    (letter,) = _json(world, "deadletters", "list", "--from-topic", world.pipeline, without="SIGHTLINE_DATABASE_URL")
    assert letter["code"] == "picture_truncated"
    save = ("deadletters", "save", letter["dl_id"], "--from-topic", world.pipeline)
    assert _run(world, *save, without="SIGHTLINE_OBJECTS_URL") == truncated_jpeg(7)
    # No sink has put it into the object store yet.
    assert _run(world, *save) == truncated_jpeg(7)
    assert _run(world, "deadletters", "list", expect=2, without="SIGHTLINE_DATABASE_URL") == b""


def test_a_large_picture_goes_by_claim_check(world: World, tmp_path: Path) -> None:
    data = jpeg(1) + b"\0" * INLINE_LIMIT_BYTES
    path = tmp_path / "large.jpg"
    path.write_bytes(data)
    (line,) = _json(world, "publish", world.pipeline, str(path))
    assert line["claimed"] is True
    assert world.store.get(f"claims/{sha256_hex(data)}", len(data)) == data
    (refused,) = _json(world, "publish", world.pipeline, str(path), expect=1, without="SIGHTLINE_OBJECTS_URL")
    assert refused["error"]["code"] == "inline_too_large"
    world.start_worker().wait_ready()
    wait_for(lambda: world.results() or world.dead_letters(), 30, "an answer")
    assert [result["image"]["size_bytes"] for result in world.results()] == [len(data)]


def test_headers_and_key_are_those_of_the_contract(world: World, photos: Path) -> None:
    os.utime(photos / "0.jpg", (0, 1_700_000_000))
    options = ["--camera", "/c/ä", "--keep", "--id-prefix", "x-"]
    (line,) = _json(world, "publish", world.pipeline, str(photos / "0.jpg"), *options)
    (message,) = world.read(topics.frames(world.pipeline))
    assert message.key() == "/c/ä".encode()
    assert message.value() == jpeg(0)
    assert dict(message.headers() or []) == {
        "ce_specversion": b"1.0",
        "ce_type": b"sightline.frame.v1",
        "ce_id": line["event_id"].encode(),
        "ce_source": "/c/ä".encode(),
        "ce_time": b"2023-11-14T22:13:20.000000Z",
        "content-type": b"image/jpeg",
        "ce_keep": b"true",
    }
    assert line["event_id"].startswith("x-")


def test_standard_input(world: World) -> None:
    _run(world, "publish", world.pipeline, "-", stdin=jpeg(3))
    (message,) = world.read(topics.frames(world.pipeline))
    assert message.value() == jpeg(3)


def test_what_cannot_be_published_is_counted(world: World, photos: Path) -> None:
    missing = str(photos / "missing.jpg")
    lines = _json(world, "publish", world.pipeline, missing, str(photos / "0.jpg"), expect=1)
    assert [line.get("error", {}).get("code") for line in lines] == ["claim_not_found", None]
    assert len(world.read(topics.frames(world.pipeline))) == 1


def test_a_topic_that_is_missing_exits_2(world: World, photos: Path) -> None:
    _run(world, "publish", "nowhere", str(photos), expect=2)
    _run(world, "results", "nowhere", expect=2)
    _run(world, "deadletters", "list", "--from-topic", "nowhere", expect=2)


def test_results_are_followed_as_they_come_and_no_group_is_joined(world: World, photos: Path) -> None:
    follow = subprocess.Popen(
        [*_PROGRAM, "results", world.pipeline, "--json", "--limit", "1", "--from", "beginning"],
        env=world.env,
        stdout=subprocess.PIPE,
    )
    try:
        world.start_worker().wait_ready()
        _run(world, "publish", world.pipeline, str(photos / "0.jpg"))
        out, _ = follow.communicate(timeout=60)
    finally:
        follow.kill()
    assert follow.returncode == 0
    assert json.loads(out)["pipeline"] == world.pipeline


def test_from_a_time_on(world: World, photos: Path) -> None:
    world.start_worker().wait_ready()
    _run(world, "publish", world.pipeline, str(photos / "0.jpg"))
    wait_for(world.results, 30, "the first result")
    first = world.read(topics.results(world.pipeline))[0].timestamp()[1]
    _run(world, "publish", world.pipeline, str(photos / "1.jpg"))
    wait_for(lambda: len(world.results()) == 2, 30, "the second result")
    moment = format_time(from_timestamp_ms(first + 1))
    results = _json(world, "results", world.pipeline, "--from", moment, "--until-idle", "1")
    assert len(results) == 1


def test_ctrl_c_exits_130_quietly(world: World) -> None:
    follow = subprocess.Popen(
        [*_PROGRAM, "results", world.pipeline, "--from", "beginning"], env=world.env, stderr=subprocess.PIPE
    )
    worker = world.start_worker().wait_ready()
    follow.send_signal(2)
    _, err = follow.communicate(timeout=30)
    assert (follow.returncode, err) == (130, b"")
    worker.terminate()
