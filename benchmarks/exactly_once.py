"""What exactly-once delivery costs: frames a second with it, against at-least-once on the same frames in the same run.

The worker runs on core 0 alone; the broker runs on core 1. Large photos show the cost beside ordinary work, small
pictures (96 by 72) the cost itself: each transaction carries a batch of 16 at most, and these are worked off fastest.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from benchmarks.figures import Figure
from benchmarks.photos import photos
from benchmarks.throughput import PHOTOS, _start_on
from schemas import topics
from schemas.frame import frame_headers
from tests.pictures import jpeg
from tests.world import World, wait_for

LARGE = 320
SMALL = 4000
WARM_UP = 64
ROUNDS = 3
_MODES = ("at-least-once", "exactly-once")


def measure(world: World, _: Path) -> list[Figure]:
    """Take turns, first with small pictures, then with large photos."""
    small = _measure(world, SMALL, lambda n: jpeg(n % 50))
    world.empty(topics.frames(world.pipeline))
    pictures = photos(PHOTOS)
    large = _measure(world, LARGE, lambda n: pictures[n % PHOTOS])
    note = f"{ROUNDS} rounds in turns, one core, batches of 16, pictures not kept"
    figures = []
    for what, rates in (("2.7 MP photos", large), ("small pictures", small)):
        least, exactly = (fmean(rates[mode]) for mode in _MODES)
        name = f"exactly once ÷ at least once, {what}"
        figures.append(Figure(name, exactly / least, "", "", "at-least-once, same run", note))
        figures.append(Figure(f"exactly once, {what}, frames per second", exactly, "1/s", "", None, note))
    return figures


def _measure(world: World, count: int, picture: Callable[[int], bytes]) -> dict[str, list[float]]:
    world.publish(
        (
            picture(n),
            frame_headers(
                event_id=f"x{n}", source=f"/bench/{n % 16}", media_type="image/jpeg", extensions={"keep": "false"}
            ),
        )
        for n in range(count)
    )
    rates: dict[str, list[float]] = {mode: [] for mode in _MODES}
    for _ in range(ROUNDS):
        for mode in _MODES:
            rates[mode].append(_rate(world, count, mode))
    return rates


def _rate(world: World, count: int, mode: str) -> float:
    """Read the whole topic with a fresh group; return frames per second by the broker's times, after the warm-up."""
    results = topics.results(world.pipeline)
    world.empty(results)
    world.env["SIGHTLINE_WORKER_DELIVERY"] = mode
    worker = _start_on(world, 0)
    worker.wait_ready()
    wait_for(lambda: worker.metric("sightline_records_finished_total") >= count, 300, "all frames")
    worker.terminate()
    world.forget_group(topics.group("worker", world.pipeline))
    times = sorted(message.timestamp()[1] for message in world.read(results))
    if len(times) != count:
        raise RuntimeError(f"{len(times)} results of {count} frames")
    return (count - WARM_UP) / ((times[-1] - times[WARM_UP - 1]) / 1000)
