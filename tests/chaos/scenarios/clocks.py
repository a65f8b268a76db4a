"""The clock of a machine jumps."""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from schemas.errors import ConfigurationError
from tests.chaos.keeper import gave_up, start_kept, tending
from tests.chaos.stage import Stage
from tests.chaos.traffic import flowing

_SITE = Path(__file__).parents[1] / "clock"
_LIBRARY = "libfaketimeMT.so.1"
_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
# librdkafka waits until a time of day: when the clock goes far back, a process may hang until it ends itself. Its waits
# are out of reach for the library that tells the time here: while that is ahead, they last as long as it is ahead.
_JUMPS = ("-2h", "+2h", "-400d", "+40d", "+20m")


def jumping(stage: Stage) -> None:
    """The clock of workers and sinks jumps by hours, days and a year, forwards and backwards, while frames flow."""
    world = stage.world()
    clock = stage.folder / "clock"
    clock.write_text("+0\n", encoding="ascii")
    world.env |= {
        "LD_PRELOAD": str(_faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # As on a real machine: what is set is the time of day, not how long something takes.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_SITE), os.environ.get("PYTHONPATH")])),
    }
    kept = start_kept(world)
    for keeper in kept:
        keeper.running.wait_ready()
    jumps = itertools.islice(itertools.cycle(_JUMPS), stage.size.faults)
    with flowing(world, stage.size.frames, stage.size.faults * (stage.size.outage_s + 1.0)) as flow:
        for jump in jumps:
            stage.pause(0.3, 0.7)
            with _jumped(clock, jump):
                stage.fault(f"the clock jumps by {jump}, and back")
                time.sleep(stage.size.outage_s)
    with tending(kept):
        evidence = stage.prove(world, flow.published)
    hung = gave_up(world)
    far = [result for result in evidence.topic_results if _is_far(result["processed_at"])]
    stage.say(f"{len(far)} frames were answered at another time, {hung} processes hung and were started anew")
    if not far and not hung:
        stage.outcome.find("still: no clock has jumped")


@contextmanager
def _jumped(clock: Path, by: str) -> Iterator[None]:
    for what in (by, "+0"):
        partial = clock.with_suffix(".partial")
        partial.write_text(f"{what}\n", encoding="ascii")
        partial.replace(clock)
        if what == by:
            yield


def _is_far(processed_at: str) -> bool:
    return abs(datetime.fromisoformat(processed_at) - datetime.now(UTC)) > timedelta(minutes=15)


def _faketime() -> Path:
    for place in _PLACES:
        for found in sorted(Path(place).rglob(_LIBRARY)) if Path(place).is_dir() else []:
            return found
    raise ConfigurationError("libfaketime", "not found; a clock that jumps needs it: apt-get install faketime")
