"""The most memory that a worker, supervisor and child, has resident while it works off a backlog of large pictures."""

from benchmarks.photos import photo
from schemas import topics
from schemas.frame import frame_headers
from tests.world import World, wait_for

PICTURES = 3000
DISTINCT = 6


def peak_bytes(world: World, count: int = PICTURES) -> int:
    """Publish `count` pictures of about 1 MB, a third of them of 24 megapixels; then let one worker loose on them."""
    small = [photo(seed, 1900, 1420, quality=90) for seed in range(DISTINCT)]
    large = [photo(seed, 6000, 4000, quality=26) for seed in range(DISTINCT)]
    world.publish(
        (
            (large if number % 3 == 0 else small)[number // 3 % DISTINCT],
            frame_headers(event_id=f"m{number}", source=f"/bench/{number % 16}", media_type="image/jpeg"),
        )
        for number in range(count)
    )
    worker = world.start_worker().wait_ready()
    results = topics.results(world.pipeline)
    wait_for(lambda: world.count(results) >= count, 900, "all results")
    peak = worker.rss_bytes()
    worker.terminate()
    return peak
