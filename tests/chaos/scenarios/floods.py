"""Floods of frames that cannot succeed."""

from tests.chaos.stage import Stage
from tests.chaos.traffic import BROKEN, Frame, good, publish
from tests.pictures import corrupt_jpeg, headers, truncated_jpeg
from tests.world import World, wait_for

_COUNT = 40
_SOURCES = 24


def of_poison(stage: Stage) -> None:
    """One camera's flood alerts and goes on; a code that many sources have halts, until newer frames succeed."""
    world = stage.world()
    worker = world.start_worker({"SIGHTLINE_WORKER_FLOOD_COUNT": str(_COUNT)})
    world.start_sink("postgres")
    world.start_sink("objects")
    count = stage.size.frames // 4
    published = publish(world, count, _of_one_camera) + publish(world, count, good)
    stage.fault(f"one camera sends {count} broken frames")
    world.wait_for_rows(len(published))
    stage.expect(lambda: "dead-letter-flood" in _alerts(world), 30, "an alert of the flood")
    if worker.metric("sightline_halted"):
        stage.outcome.find("halted: for the sake of one camera")
    answered = sum(world.count_rows())
    published += publish(world, count, _of_many_cameras, start=100_000)
    stage.fault(f"{_SOURCES} cameras send {count} broken frames")
    wait_for(lambda: worker.metric("sightline_halted") == 1, 60, "the worker halts")
    stage.expect(lambda: "flood-halt" in _alerts(world), 30, "an alert of the halt")
    if sum(world.count_rows()) >= answered + count:
        stage.outcome.find("drained: the halt came when all had become dead letters")
    published += publish(world, stage.size.frames - 3 * count, good, start=200_000)
    stage.expect(lambda: worker.metric("sightline_halted") == 0, 120, "it goes on")
    stage.prove(world, published)
    stage.expect(worker.ready, 30, "ready again")


def _of_one_camera(number: int) -> Frame:
    return truncated_jpeg(number), headers(f"one{number}", BROKEN)


def _of_many_cameras(number: int) -> Frame:
    return corrupt_jpeg(number), headers(f"many{number}", f"{BROKEN}/{number % _SOURCES}")


def _alerts(world: World) -> set[str]:
    """Return the rules that alerts of this pipeline name."""
    found = world.alerts()
    return {alert["rule"] for alert in found if alert.get("pipeline") == world.pipeline}
