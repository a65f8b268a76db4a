"""A cluster of three brokers, of which one dies; and workers that come and go."""

from confluent_kafka.admin import AdminClient

from infra.local.cluster import KafkaCluster
from schemas import topics
from tests.chaos.keeper import Keeper
from tests.chaos.stage import Stage, forget_the_dead_sooner
from tests.chaos.traffic import flowing, mixed, publish
from tests.world import World, wait_for


def one_of_three(stage: Stage) -> None:
    """One of three brokers is killed, three copies of everything: frames are answered without it."""
    cluster = KafkaCluster(stage.folder, die_with_us=True)
    stage.stack.callback(cluster.stop)
    cluster.start()
    world = stage.world(bootstrap=cluster.bootstrap)
    world.start_all()
    count = stage.size.frames // (2 * stage.size.faults)
    published = publish(world, count, start=1_000_000)
    for number in range(stage.size.faults):
        if number:
            cluster.start()
            wait_for(lambda: _in_sync(world), 120, "three copies again", every_s=0.5)
        broker = cluster.brokers[stage.chance.randrange(len(cluster.brokers))]
        with flowing(world, count, 3.0, mixed, start=number * 20_000) as flow:
            stage.pause(0.5, 1.5)
            broker.kill()
            stage.fault(f"kill -9 broker {broker.name} on port {broker.port}")
        published.extend(flow.published + publish(world, count, start=number * 20_000 + 10_000))
        stage.expect(lambda: sum(world.count_rows()) >= len(published), 120, "all answered by two brokers")
    stage.prove(world, published)


def _in_sync(world: World) -> bool:
    found = AdminClient({"bootstrap.servers": world.bootstrap, "log_level": 0}).list_topics(timeout=10).topics.values()
    return all(len(part.isrs) == len(part.replicas) for topic in found for part in topic.partitions.values())


def coming_and_going(stage: Stage) -> None:
    """Workers and sinks join and leave every few seconds, some of them by kill -9, while frames flow."""
    world = stage.world()
    forget_the_dead_sooner(world)
    staying = [
        Keeper(world, *name, world.pipeline) for name in (("worker",), ("sink", "postgres"), ("sink", "objects"))
    ]
    guests: list[Keeper] = []
    kinds = (("worker",), ("worker",), ("sink", "postgres"), ("sink", "objects"))
    with flowing(world, stage.size.frames, stage.size.faults * 2.2) as flow:
        for number in range(stage.size.faults):
            stage.pause(1.2, 3.0)
            if len(guests) < 2 or (len(guests) < 4 and stage.chance.random() < 0.4):
                guests.append(Keeper(world, *kinds[number % len(kinds)], world.pipeline))
                stage.fault(f"{guests[-1].name} joins")
                continue
            guest = guests.pop(stage.chance.randrange(len(guests)))
            if stage.chance.random() < 0.3:
                guest.running.kill()
                stage.fault(f"{guest.name} is killed")
            else:
                guest.end()
                stage.fault(f"{guest.name} leaves")
    rebalances = staying[0].running.metric("sightline_rebalances_total", group=topics.group("worker", world.pipeline))
    stage.say(f"the worker that stayed saw {rebalances:.0f} rebalances")
    stage.prove(world, flow.published)
