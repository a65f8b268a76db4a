"""The most memory that each process has resident while it works off a backlog of large pictures."""

import subprocess
import time

from benchmarks.photos import photo
from schemas import topics
from schemas.frame import frame_headers
from tests.world import SIGHTLINE, World, peak_rss_bytes, wait_for

PICTURES = 3000
DISTINCT = 6
_LOOK_S = 0.1
# In bytes. A picture is decoded in a worker only.
GOALS = {"worker": 500_000_000, "sink objects": 300_000_000, "sink postgres": 300_000_000, "replay": 500_000_000}


def peak_bytes(world: World, count: int = PICTURES) -> dict[str, int]:
    """Publish `count` pictures of about 1 MB, a third of them of 24 megapixels; return the peak of each process.

    A worker (supervisor and child together) answers them, sinks store what came of that, a replay sends them once more.
    """
    small = [photo(seed, 1900, 1420, quality=90) for seed in range(DISTINCT)]
    large = [photo(seed, 6000, 4000, quality=26) for seed in range(DISTINCT)]
    world.publish(
        (
            (large if number % 3 == 0 else small)[number // 3 % DISTINCT],
            frame_headers(event_id=f"m{number}", source=f"/bench/{number % 16}", media_type="image/jpeg"),
        )
        for number in range(count)
    )
    worker = world.start("worker", world.pipeline, "--no-replay").wait_ready()
    results = topics.results(world.pipeline)
    wait_for(lambda: world.count(results) >= count, 900, "all results")
    peaks = {"worker": worker.rss_bytes()}
    worker.terminate()
    sinks = {kind: world.start_sink(kind).wait_ready() for kind in ("objects", "postgres")}
    world.wait_until_settled(300)
    for kind, sink in sinks.items():
        peaks[f"sink {kind}"] = sink.rss_bytes()
        sink.terminate()
    return peaks | {"replay": _replay_peak_bytes(world)}


def _replay_peak_bytes(world: World) -> int:
    peak = 0
    with subprocess.Popen(
        [SIGHTLINE, "replay", "start", world.pipeline, "--max-live-lag", "0", "--json"],
        env=world.env,
        stdout=subprocess.DEVNULL,
    ) as replay:
        while replay.poll() is None:
            peak = max(peak, peak_rss_bytes(replay.pid))
            time.sleep(_LOOK_S)
    if replay.returncode:
        raise RuntimeError(f"the replay ended with {replay.returncode}")
    return peak
