"""Exactly-once delivery: readers of committed records find each answer once."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence

from tests.chaos.keeper import Keeper, start_kept, tending
from tests.chaos.stage import Stage, forget_the_dead_sooner
from tests.chaos.traffic import flowing

_READY_WITHIN_S = 90


def each_answer_stands_once(stage: Stage) -> None:
    """Workers are killed or frozen past their session, the broker is killed or stopped, delivery is exactly-once."""
    world, kafka = stage.world(), stage.services.kafka
    world.env["SIGHTLINE_WORKER_DELIVERY"] = "exactly-once"
    forget_the_dead_sooner(world)
    kept = start_kept(world, workers=2)
    for keeper in kept:
        keeper.running.wait_ready()
    one, other, *_ = kept
    ways: Sequence[tuple[str, Callable[[], None]]] = (
        ("kill -9 the broker", lambda: _away(stage, kafka.kill, kafka.start)),
        ("kill -9 a worker", lambda: _kill(one)),
        ("a worker frozen past its session", lambda: _freeze(stage, other)),
        ("broker stopped", lambda: _away(stage, kafka.stop, kafka.start)),
    )
    with tending(kept), flowing(world, stage.size.frames, stage.size.faults * (stage.size.outage_s + 8.0)) as flow:
        for number in range(stage.size.faults):
            stage.pause(0.5, 2.0)
            name, happen = ways[number % len(ways)]
            stage.fault(name)
            happen()
            stage.expect(lambda: all(keeper.running.ready() for keeper in kept), _READY_WITHIN_S, "all ready again")
    with tending(kept):
        stage.prove(world, flow.published)
    for log in world.folder.glob("*worker.log"):
        if "client has been asked for" in log.read_text(encoding="utf-8"):
            stage.outcome.find(f"hung: a transaction of {log.name} stood still until its process ended itself")
    if stage.outcome.repeats:
        stage.outcome.find(f"double: {stage.outcome.repeats} committed answers stand a second time on their topic")


def _away(stage: Stage, end: Callable[[], None], begin: Callable[[], None]) -> None:
    end()
    time.sleep(stage.size.outage_s)
    begin()


def _kill(worker: Keeper) -> None:
    worker.running.kill()


def _freeze(stage: Stage, worker: Keeper) -> None:
    pid = worker.running.freeze()
    time.sleep(stage.size.outage_s)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
