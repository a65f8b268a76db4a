"""The network between processes and services loses packets; connections stay, and all that is said takes its time."""

from tests.chaos.namespace import losing, lost_packets
from tests.chaos.stage import Stage
from tests.chaos.traffic import flowing, mixed
from tests.world import wait_for

_SHARES = (0.1, 0.25, 0.4)


def lost(stage: Stage) -> None:
    """A tenth to two fifths of all packets to and from Kafka, PostgreSQL and S3 are lost, while frames flow."""
    services, world = stage.services, stage.world()
    processes = world.start_all()
    ports = {"kafka": services.kafka.port, "postgres": services.postgres.port, "s3": services.s3.port}
    ways = [*((name, [port]) for name, port in ports.items()), ("everywhere", list(ports.values()))]
    with flowing(world, stage.size.frames, stage.size.faults * (stage.size.outage_s + 1.0), mixed) as flow:
        for number in range(stage.size.faults):
            name, chosen = ways[number % len(ways)]
            share = stage.chance.choice(_SHARES)
            with losing(share, chosen):
                stage.pause(stage.size.outage_s * 0.8, stage.size.outage_s * 1.2)
                stage.expect(lost_packets, 60, f"packets lost, {name}")
                packets = lost_packets()
            stage.fault(f"{name}: {share:.0%} of all packets lost, {packets} of them")
            stage.pause(0.5, 1.5)
    wait_for(lambda: all(process.ready() for process in processes), 120, "all ready again")
    stage.prove(world, flow.published)
