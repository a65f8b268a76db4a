"""The models of one pipeline in a worker: activations read from Kafka, carried out by the manager."""

from collections.abc import Callable
from typing import Final, Protocol

from processors.infer.lineup import Lineup
from schemas.errors import OutageError, SetupError
from schemas.pipeline import PipelineDefinition
from sightline.models.manager import ModelManager, Refusal
from sightline.models.pinned import PinnedModels
from sightline.models.source import Load, Use
from sightline.runtime.clock import Clock
from sightline.runtime.settings import KafkaSettings
from streams.activations import ActivationReader

SERVICE: Final = "models"


class WorkerModels(Protocol):
    """What a worker asks of its models."""

    def start(self) -> None:
        """Begin to follow what is activated."""
        ...

    def stop(self) -> None:
        """End."""
        ...

    def lineup(self) -> Lineup:
        """Return what is in force; empty before `check` passes. Never blocks."""
        ...

    def check(self) -> None:
        """Raise OutageError while a model is awaited, SetupError where none is activated. Never blocks."""
        ...

    def problem(self) -> str | None:
        """Say what is waited for, or None."""
        ...

    def stalled(self) -> str | None:
        """Say that activations are not followed any more, and why, or None."""
        ...

    def failure(self) -> BaseException | None:
        """Return what ended the following of activations, or None: a worker cannot go on without it."""
        ...


class FixedModels:
    """Models from files, or none at all: there is never anything to wait for."""

    def __init__(self, pinned: PinnedModels) -> None:
        self._pinned = pinned

    def start(self) -> None:
        """See `WorkerModels`."""

    def stop(self) -> None:
        """See `WorkerModels`."""

    def lineup(self) -> Lineup:
        """See `WorkerModels`."""
        return self._pinned.lineup()

    def check(self) -> None:
        """See `WorkerModels`."""

    def problem(self) -> None:
        """See `WorkerModels`."""

    def stalled(self) -> None:
        """See `WorkerModels`."""

    def failure(self) -> None:
        """See `WorkerModels`."""


class ActivatedModels:
    """Models that are activated over Kafka: all that was activated before the start is read before the first frame."""

    def __init__(
        self,
        definition: PipelineDefinition,
        kafka: KafkaSettings,
        use: Use,
        load: Load,
        clock: Clock,
        on_refused: Callable[[Refusal], None],
    ) -> None:
        self._roles = tuple(definition.models)
        self._manager = ModelManager(definition.name, definition.models, use, load, clock, on_refused)
        self._reader = ActivationReader(kafka, definition.name, self._roles, self._manager.apply, clock)

    def start(self) -> None:
        """See `WorkerModels`."""
        self._manager.start()
        self._reader.start()

    def stop(self) -> None:
        """See `WorkerModels`; blocks for seconds at most."""
        self._reader.stop()
        self._manager.stop()

    def lineup(self) -> Lineup:
        """See `WorkerModels`."""
        return self._manager.lineup() or Lineup()

    def check(self) -> None:
        """See `WorkerModels`."""
        problem = self.problem()
        if problem is None:
            return
        read = self._reader.problem() is None
        missing = read and any(self._reader.current(role) is None for role in self._roles)
        raise (SetupError if missing else OutageError)(SERVICE, problem)

    def problem(self) -> str | None:
        """See `WorkerModels`."""
        return self._reader.problem() or self._manager.problem()

    def stalled(self) -> str | None:
        """See `WorkerModels`."""
        return self._reader.stalled()

    def failure(self) -> BaseException | None:
        """See `WorkerModels`."""
        return self._reader.failure() or self._manager.failure()
