"""The network between processes and services is cut, slow, or loses what is said."""

from collections.abc import Callable, Sequence
from functools import partial

from tests.chaos.stage import Proxies, Stage
from tests.chaos.traffic import flowing, mixed
from tests.world import wait_for


def disturbed(stage: Stage) -> None:
    """Connections to Kafka, PostgreSQL and S3 are cut, delayed, broken off, and swallowed, while frames flow."""
    world = stage.world()
    proxies = stage.proxies()
    proxies.lead(world)
    processes = world.start_all()
    ways = _ways(proxies)
    stage.chance.shuffle(ways)
    with flowing(world, stage.size.frames, stage.size.faults * (stage.size.outage_s + 1.5), mixed) as flow:
        for number in range(stage.size.faults):
            name, disturb = ways[number % len(ways)]
            disturb()
            stage.fault(name)
            stage.pause(stage.size.outage_s * 0.8, stage.size.outage_s * 1.2)
            proxies.heal()
            stage.pause(0.5, 1.5)
    wait_for(lambda: all(process.ready() for process in processes), 120, "all ready again")
    stage.prove(world, flow.published)


def _ways(proxies: Proxies) -> list[tuple[str, Callable[[], None]]]:
    def everywhere(act: Callable[[str], None]) -> None:
        for name in proxies.names:
            act(name)

    each: Sequence[tuple[str, Callable[[str], None]]] = (
        ("cut", proxies.cut),
        ("delayed by 300 ms give or take 250", partial(proxies.delay, ms=300, jitter_ms=250)),
        ("half of all connections lose everything", partial(proxies.swallow, share=0.5)),
        ("connections broken off after 20 kB", partial(proxies.reset_after, size_bytes=20_000)),
    )
    ways: list[tuple[str, Callable[[], None]]] = [
        (f"{name}: {what}", partial(act, name)) for what, act in each for name in proxies.names
    ]
    ways += [(f"everywhere: {what}", partial(everywhere, act)) for what, act in each]
    return ways
