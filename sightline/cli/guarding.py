"""What stands between a worker's answers and their topics: the guard against floods, and transactions."""

from schemas.pipeline import PipelineDefinition
from sightline.runtime.clock import Clock
from sightline.runtime.faults import Faults
from sightline.runtime.settings import Settings
from streams.alerts import Alarm
from streams.flood import FloodGuard, FloodRules
from streams.freshframes import FreshFrames
from streams.guarded import PROBE_FRAMES, GuardedHandler, Worker, judge_beside
from streams.slots import take_slot
from streams.transaction import Transactions


def guarded(
    worker: Worker,
    topic: str,
    definition: PipelineDefinition,
    settings: Settings,
    clock: Clock,
    alarm: Alarm,
    *,
    label: str | None = None,
) -> GuardedHandler:
    """Put the guard of the settings in front of a worker that reads `topic`; `label` as `WorkerHandler` has it."""
    rules = FloodRules(
        settings.worker.flood_halt,
        settings.worker.flood_count,
        settings.worker.flood_sources,
        settings.worker.flood_window_s,
    )
    fresh = FreshFrames(
        settings.kafka,
        topic,
        lambda records: judge_beside(worker, records),
        PROBE_FRAMES,
        definition.batch.max_bytes,
    )
    return GuardedHandler(worker, FloodGuard(label or definition.name, rules, clock, fresh), alarm)


def transactions_for(
    definition: PipelineDefinition, settings: Settings, group: str, faults: Faults
) -> Transactions | None:
    """Return the transactions of a pipeline that is delivered exactly once, else None."""
    if (settings.worker.delivery or definition.delivery) != "exactly-once":
        return None
    return Transactions(settings.kafka, group, settings.worker.slot or take_slot(group), faults)
