"""Sending dead letters again is killed again and again."""

import signal
import subprocess
from collections.abc import Sequence

from schemas import topics
from schemas.frame import frame_headers
from schemas.identity import sha256_hex
from tests.audit import collect, intact
from tests.chaos.stage import Stage
from tests.chaos.traffic import BROKEN, Frame, publish
from tests.pictures import jpeg
from tests.world import SIGHTLINE, Published, World, wait_for

_POINTS = ("redrive-claimed", "redrive-sent", "redrive-committed")
_PER_S = 20


def killed(stage: Stage) -> None:
    """A redrive dies at its named points and at random; each dead letter is sent once, and its frame answered once."""
    world = stage.world()
    world.start_all()
    picture = jpeg(0)
    place = f"claims/{sha256_hex(picture)}"
    published = publish(world, stage.size.frames, lambda number: _claimed(number, world.store.address(place)))
    world.wait_for_rows(len(published))
    world.wait_until_settled()
    world.store.put(place, picture, "image/jpeg")  # what they were refused for is mended
    for number in range(stage.size.faults):
        if number % 4 == 3:
            redrive = _start(world)
            stage.pause(2.5, 4.0)
            redrive.kill()
            redrive.wait()
            stage.fault("kill -9 the redrive")
            continue
        point = f"{_POINTS[number % 4]}:1"
        if _start(world, point).wait(60) == -signal.SIGKILL:
            stage.fault(f"the redrive died at {point}")
        else:
            stage.outcome.find(f"alive: the redrive ended before {point}")
    world.run("deadletters", "redrive", "--pipeline", world.pipeline, "--rate", "1000")
    wait_for(lambda: world.count_rows()[0] >= len(published), 60, "a result of every frame")
    world.wait_until_settled()
    _judge(stage, world, published)


def _judge(stage: Stage, world: World, published: Sequence[Published]) -> None:
    """Audit it: only who is answered, and how often, is another matter than without a redrive."""
    outcome, count = stage.outcome, len(published)
    for finding in intact(collect(world, published)):
        outcome.find(finding)
    sent = len(world.read(topics.frames(world.pipeline))) - count
    results, letters = world.count_rows()
    frames = world.sql("SELECT count(DISTINCT frame_id) FROM results WHERE pipeline = :pipeline")[0][0]
    resolved = world.sql("SELECT count(*) FROM dead_letters WHERE state = 'resolved'")[0][0]
    outcome.frames, outcome.results, outcome.dead_letters = count, results, letters
    if sent != count:
        outcome.find(f"{'double' if sent > count else 'lost'}: {sent} dead letters of {count} were sent")
    if (results, frames, letters, resolved) != (count, count, count, count):
        outcome.find(
            f"{'lost' if frames < count else 'double'}: {count} dead letters have {results} results of {frames} frames;"
            f" there are {letters} letters, {resolved} of them resolved"
        )


def _claimed(number: int, dataref: str) -> Frame:
    headers = frame_headers(
        event_id=f"claimed{number}", source=BROKEN, media_type="image/jpeg", extensions={"dataref": dataref}
    )
    return None, headers


def _start(world: World, point: str | None = None) -> "subprocess.Popen[bytes]":
    env = world.env if point is None else {**world.env, "SIGHTLINE_FAULT_POINT": point}
    command = [SIGHTLINE, "deadletters", "redrive", "--pipeline", world.pipeline, "--rate", str(_PER_S)]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
