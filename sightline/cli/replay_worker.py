"""The second loop of a worker: frames that are sent once more."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from processors.infer.model import LoadedModel
from processors.outcome import Context
from schemas import topics
from schemas.activation import ModelAddress
from schemas.frame import Frame
from schemas.pipeline import ModelRules, PipelineDefinition
from sightline.cli.guarding import guarded, transactions_for
from sightline.cli.loading import loader
from sightline.cli.replay_store import open_documents
from sightline.models.cache import ModelCache
from sightline.models.store import open_model_store
from sightline.runtime.clock import Clock
from sightline.runtime.faults import Faults
from sightline.runtime.settings import MIB, Settings
from streams.alerts import Alarm
from streams.guarded import Judged
from streams.loop import BatchLimits, Loop
from streams.process import RunnableLoop
from streams.publisher import Publisher, Publishes
from streams.replay.cancellations import Cancellations
from streams.replay.contexts import ReplayContexts
from streams.replay.frames import parse_replayed
from streams.replay.handler import ReplayHandler
from streams.replay.precedence import Precedence
from streams.tracker import Record
from streams.watch import Watch
from streams.worker import WorkerHandler

GROUP_PROCESS: Final = "worker-replay"
# Live frames have the memory; those of a replay wait on the broker just as well.
_INFLIGHT_BYTES: Final = 16 * MIB

# Makes a handler over a data path, with another way to read frames, another label for metrics, and where it publishes.
MakeWorker = Callable[[Context, Callable[[Record], Frame], str, Publishes], WorkerHandler]


class Beside:
    """A loop that a process is ready without: a replay that waits takes no worker out of the live stream."""

    def __init__(self, loop: Loop[Judged]) -> None:
        self.run = loop.run
        self.stop = loop.stop
        self.stalled = loop.stalled

    def unready(self) -> str | None:
        """Say nothing; see the class."""
        return None


class ReplayLoops:
    """The loops over replays of one worker. `in_hand` tells what each of its live loops has in hand."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        faults: Faults,
        publisher: Publisher,
        in_hand: Sequence[Callable[[], int]],
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self._settings = settings
        self._clock = clock
        self._faults = faults
        self._publisher = publisher
        self._in_hand = in_hand
        self._loops: list[Loop[Judged]] = []
        self.cancellations: list[Cancellations] = []

    def add(self, live: Context, limits: BatchLimits, make_worker: MakeWorker) -> None:
        """Add the loop of a pipeline; `live` is the data path of its live frames."""
        pipeline, settings, clock = live.pipeline.name, self._settings, self._clock
        group = topics.group(GROUP_PROCESS, pipeline)
        frames, label = topics.frames_replay(pipeline), f"{pipeline}{topics.REPLAY_SUFFIX}"
        transactions = transactions_for(live.pipeline, settings, group, self._faults)
        out = self._publisher if transactions is None else transactions.outbox
        cancellations = Cancellations(settings.kafka, pipeline, clock)
        handler = ReplayHandler(
            pipeline,
            ReplayContexts(live, open_documents(settings), _open_model(settings)),
            lambda context: make_worker(context, parse_replayed, label, out),
            cancellations,
            clock.now,
        )

        guard = guarded(
            handler, frames, live.pipeline, settings, clock, Alarm(out, clock, group, pipeline), label=label
        )

        def own() -> int:
            return loop.in_hand()

        loop = Loop(
            settings.kafka,
            group,
            [frames],
            guard,
            Alarm(self._publisher, clock, group, pipeline),
            replace(limits, inflight_bytes=min(limits.inflight_bytes, _INFLIGHT_BYTES)),
            clock,
            self._faults,
            Precedence(self._in_hand, own, limits.records, clock).allowance,
            self._watch,
            transactions,
        )
        self._loops.append(loop)
        self.cancellations.append(cancellations)

    def loops(self, *, alone: bool) -> list[RunnableLoop]:
        """Return the loops as a process runs them; alone, they are what it has to be ready for."""
        return list(self._loops) if alone else [Beside(loop) for loop in self._loops]


def _open_model(settings: Settings) -> Callable[[PipelineDefinition, ModelAddress, ModelRules], LoadedModel]:
    def open_(definition: PipelineDefinition, address: ModelAddress, rules: ModelRules) -> LoadedModel:
        store = open_model_store(settings)
        cache = ModelCache(settings.models.cache_folder(), settings.models.cache_bytes, store.download)
        with cache.use(address) as files:
            return loader(definition, settings)(files.card, files.weights, rules)

    return open_
