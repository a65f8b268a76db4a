"""The disks of database and object store are full for a while."""

import time

from infra.local.process import free_port
from tests.chaos.smalldisk import SmallPostgres, SmallS3
from tests.chaos.stage import Stage
from tests.chaos.traffic import flowing
from tests.services import running


def full(stage: Stage) -> None:
    """The disk of the database, then of the object store, has no room left; both wait until somebody makes some."""
    postgres = stage.stack.enter_context(running(lambda at: SmallPostgres(at, free_port(), die_with_us=True)))
    s3 = stage.stack.enter_context(running(lambda at: SmallS3(at, free_port(), die_with_us=True)))
    world = stage.world(postgres=postgres, s3=s3)
    _, rows, objects = world.start_all()
    each_s = stage.size.outage_s + 6.0
    with flowing(world, stage.size.frames, stage.size.faults * each_s) as flow:
        for number in range(stage.size.faults):
            name, disk, sink = (("object store", s3.disk(), objects), ("database", postgres.disk(), rows))[number % 2]
            disk.fill()
            stage.fault(f"the disk of the {name} is full")
            stage.expect(lambda sink=sink: not sink.ready(), 60, f"not ready with a full {name}")  # type: ignore[misc]
            time.sleep(stage.size.outage_s)
            if sink.get("/health/live")[0] != 200:
                stage.outcome.find(f"dead: the sink, with a full {name}")
            disk.free()
            stage.expect(sink.ready, 60, f"ready again once the {name} has room")
    stage.prove(world, flow.published)
