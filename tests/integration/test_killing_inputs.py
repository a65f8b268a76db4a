"""Pictures that kill, freeze or fill the process that decodes them: each leaves, and its neighbours have results."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import psutil
import pytest

from schemas import topics
from schemas.deadletter import DeadLetter, parse_dead_letter
from schemas.headers import Headers, last_text
from sightline.runtime.faults import CRASHING, HANGING, HUNGRY, KILLING
from tests.audit import assert_sound
from tests.pictures import headers, jpeg
from tests.world import Running, World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.chaos, pytest.mark.timeout(600)]
MB = 1_000_000


def _marked(seed: int, marker: bytes) -> bytes:
    """Put a marker into a good picture, as its comment."""
    picture = jpeg(seed)
    return picture[:2] + b"\xff\xfe" + (len(marker) + 2).to_bytes(2, "big") + marker + picture[2:]


def _frames(count: int, marked: dict[int, bytes]) -> Iterable[tuple[bytes, Headers]]:
    for n in range(count):
        picture = _marked(n, marked[n]) if n in marked else jpeg(n)
        # The first ones are a batch: they are all suspected together.
        yield picture, headers(f"e{n}", f"/cameras/{0 if n < 16 else n % 5}")


def _env(folder: Path, **settings: str) -> dict[str, str]:
    """Return settings for a group that soon notices a dead member."""
    config = folder / "sightline.yaml"
    config.write_text("kafka: {properties: {session.timeout.ms: 2000, heartbeat.interval.ms: 300}}\n")
    return {"SIGHTLINE_CONFIG": str(config), "SIGHTLINE_FAULT_PICTURES": "true", **settings}


def _letters(world: World) -> dict[str, DeadLetter]:
    """Return the dead letters by the event id of their frames; each must be the only one of its frame."""
    letters = {}
    for message in world.dead_letters():
        found = cast("Headers", message.headers())
        event_id = last_text(found, "ce_id") or ""
        assert event_id not in letters
        letters[event_id] = parse_dead_letter(found)
    return letters


def _wait_until_answered(world: World) -> None:
    world.wait_for_lag(topics.group("worker", world.pipeline), [topics.frames(world.pipeline)], 180)


def test_a_crash_a_hang_and_a_glutton_become_one_dead_letter_each(world: World, tmp_path: Path) -> None:
    env = _env(tmp_path, SIGHTLINE_WORKER_MAX_BATCH_S="3", SIGHTLINE_WORKER_MAX_RESIDENT=str(500 * MB))
    published = world.publish(_frames(40, {3: CRASHING, 7: HANGING, 11: HUNGRY}))
    worker = world.start_worker(env).wait_ready()
    first = worker.working_pid
    world.start_sink("postgres")
    world.start_sink("objects")
    _wait_until_answered(world)
    letters = _letters(world)
    assert {event_id: letter.code for event_id, letter in letters.items()} == {
        "e3": "process_killed",
        "e7": "process_hung",
        "e11": "memory_exhausted",
    }
    assert {letter.stage for letter in letters.values()} == {"process"}
    assert "SIGSEGV" in letters["e3"].reason
    # Each dies alone in the end, and with others in hand before, unless it was in hand at an earlier one's death.
    assert 4 <= worker.metric("sightline_worker_deaths_total") <= 6
    assert worker.working_pid != first
    assert worker.process.poll() is None
    assert worker.metric("sightline_worker_deaths_total", cause="SIGSEGV") == 2
    assert "Segmentation fault" in worker.log.read_text()
    world.wait_for_rows(40)
    assert_sound(world, published)
    assert worker.terminate() == 0


def test_a_frame_that_takes_the_supervisor_along_is_blamed_at_the_third_death_then_one_that_hangs(
    world: World, tmp_path: Path
) -> None:
    """Nobody on the machine remembers anything: suspicion is in Kafka alone. Both are in one batch."""
    env = _env(tmp_path, SIGHTLINE_WORKER_MAX_BATCH_S="3")
    published = world.publish(_frames(30, {7: KILLING, 11: HANGING}))
    world.start_sink("postgres")
    world.start_sink("objects")
    for death in range(1, 4):
        doomed = world.start_worker(env)
        wait_for(lambda doomed=doomed: doomed.process.poll() == -signal.SIGKILL, 60, f"death {death}")  # type: ignore[misc]
        assert not world.dead_letters()
    last = world.start_worker(env)
    _wait_until_answered(world)
    letters = _letters(world)
    assert {event_id: (letter.code, letter.origin.offset) for event_id, letter in letters.items()} == {
        "e7": ("process_killed", _offset_of(world, "e7")),
        "e11": ("process_hung", _offset_of(world, "e11")),
    }
    assert "in hand at 3 deaths, 2 alone" in letters["e7"].reason
    world.wait_for_rows(30)
    assert_sound(world, published)
    assert world.count_rows() == (28, 2)
    assert last.terminate() == 0


def test_kills_from_outside_blame_no_frame(world: World, tmp_path: Path) -> None:
    worker = world.start_worker(_env(tmp_path)).wait_ready()
    published = world.publish(_frames(600, {}))
    for kill in range(1, 4):
        before = worker.working_pid
        wait_for(lambda kill=kill: world.count(topics.results(world.pipeline)) > 120 * kill, 60, "results")  # type: ignore[misc]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda before=before: _another(worker, before), 60, "another process")  # type: ignore[misc]
    _wait_until_answered(world)
    assert not world.dead_letters()
    assert {result["event_id"] for result in world.results()} == {f"e{n}" for n in range(len(published))}
    child = psutil.Process(worker.working_pid)
    worker.kill()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "the child's end")


def _another(worker: Running, before: int) -> bool:
    return worker.working_pid not in {before, worker.process.pid}


def _offset_of(world: World, event_id: str) -> int:
    for message in world.read(topics.frames(world.pipeline)):
        if last_text(cast("Headers", message.headers()), "ce_id") == event_id:
            return message.offset() or 0
    raise AssertionError(event_id)
