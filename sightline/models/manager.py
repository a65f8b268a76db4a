"""From activations to models in force: fetched, checked, loaded and warmed beside the old ones, then swapped.

A batch holds the lineup that it began with, so a swap never changes a batch's models; an old model's memory is
given back when the last batch that holds it ends.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from processors.infer.lineup import CanaryModel, Lineup
from processors.infer.model import LoadedModel
from schemas.activation import Activation, Canary, ModelAddress
from schemas.errors import ConfigurationError, ModelCode, ModelError, OutageError, UnclearError
from schemas.pipeline import ModelRules
from sightline.models import gauges
from sightline.models.source import Load, Use
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.ending import note_native
from sightline.runtime.log import get_logger

_log = get_logger(__name__)
_IDLE_S: Final = 60.0
_JOIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A model that cannot be used for a role."""

    pipeline: str
    role: str
    model: ModelAddress
    error: ModelError


OnRefused = Callable[[Refusal], None]


@dataclass(frozen=True, slots=True)
class InForce:
    """The loaded models of one role."""

    live: LoadedModel
    canary: CanaryModel | None = None
    shadow: LoadedModel | None = None

    def sides(self) -> dict[str, LoadedModel]:
        """Return the models by side."""
        canary = None if self.canary is None else self.canary.model
        found = {"live": self.live, "canary": canary, "shadow": self.shadow}
        return {side: model for side, model in found.items() if model is not None}


@dataclass(frozen=True, slots=True)
class _Pending:
    """A state that is asked for, and since when."""

    activation: Activation
    since: float


class ModelManager:
    """A `ModelSource` that follows activations. One for a pipeline; `apply` may come from any thread.

    `rules` are the pipeline's roles in their order. `on_refused` is called from the manager's own thread.
    """

    def __init__(
        self,
        pipeline: str,
        rules: Mapping[str, ModelRules],
        use: Use,
        load: Load,
        clock: Clock,
        on_refused: OnRefused,
    ) -> None:
        self._pipeline = pipeline
        self._rules = rules
        self._use = use
        self._load = load
        self._clock = clock
        self._on_refused = on_refused
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._backoff = Backoff()
        self._pending: dict[str, _Pending] = {}
        self._in_force: dict[str, InForce] = {}
        self._troubles: dict[str, str] = {}
        self._lineup: Lineup | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"models-{pipeline}", daemon=True)
        note_native(self._thread)

    def start(self) -> None:
        """Begin to carry out what is applied."""
        self._thread.start()

    def stop(self) -> None:
        """End; a load that is under way is left to end with the process. Blocks for a second at most."""
        self._stopped = True
        self._wake.set()
        self._thread.join(_JOIN_S)

    def apply(self, role: str, activation: Activation) -> None:
        """Ask for a state; one that is asked for and not carried out yet gives way. Never blocks."""
        with self._lock:
            self._pending[role] = _Pending(activation, self._clock.monotonic())
        metrics.MODEL_WAITING.labels(self._pipeline, role).set(1)
        self._wake.set()

    def lineup(self) -> Lineup | None:
        """See `ModelSource.lineup`."""
        return self._lineup

    def problem(self) -> str | None:
        """See `ModelSource.problem`. A change that waits is none: what was in force answers."""
        if self._failure is not None:
            wrong = isinstance(self._failure, ConfigurationError)
            return f"models: {self._failure if wrong else type(self._failure).__name__}"
        if self._lineup is not None:
            return None
        role = next((role for role in self._rules if role not in self._in_force), "")
        return f"no model for role {role} of {self._pipeline}: {self._troubles.get(role, 'none is activated')}"

    def failure(self) -> BaseException | None:
        """Return what ended the manager's thread, if anything did: with a ConfigurationError no restart helps."""
        return self._failure

    def _run(self) -> None:
        try:
            while not self._stopped:
                delay_s = self.carry_out()
                self._clock.wait(self._wake, delay_s)
                self._wake.clear()
        except ConfigurationError as wrong:
            self._failure = wrong
        except BaseException as failure:
            # A dead manager would keep old models for ever: whoever runs the process looks here.
            self._failure = failure
            raise

    def carry_out(self) -> float:
        """Carry out every state that is asked for; return the seconds after which to try again what must wait."""
        with self._lock:
            pending = dict(self._pending)
        delays_s = []
        for role, wanted in pending.items():
            try:
                self._switch(role, wanted)
            except (OutageError, UnclearError) as outage:
                self._troubles[role] = str(outage)
                _log.warning("model waits", pipeline=self._pipeline, role=role, reason=str(outage))
                delays_s.append(self._backoff.next_delay_s())
            else:
                self._done(role, wanted)
        if not delays_s:
            self._backoff.reset()
        return min(delays_s, default=_IDLE_S)

    def _done(self, role: str, wanted: _Pending) -> None:
        with self._lock:
            if self._pending.get(role) is not wanted:
                # A newer state came meanwhile, which has set `_wake` as well.
                return
            del self._pending[role]
        metrics.MODEL_WAITING.labels(self._pipeline, role).set(0)

    def _switch(self, role: str, wanted: _Pending) -> None:
        """Load what a state names and put it in force; a part that is refused stays out, and so does its state."""
        activation = wanted.activation
        live = self._get(role, activation.live)
        if live is None:
            self._fall_back(role, activation)
            return
        canary = None if activation.canary is None else self._get_canary(role, activation.canary)
        shadow = None if activation.shadow is None else self._get(role, activation.shadow)
        self._put(role, InForce(live, canary, shadow))
        seconds = self._clock.monotonic() - wanted.since
        metrics.MODEL_LOAD_SECONDS.labels(self._pipeline, role).observe(seconds)

    def _fall_back(self, role: str, activation: Activation) -> None:
        """Keep what is in force. A worker that has just started has nothing, and takes what the others still have."""
        if role in self._in_force or activation.previous is None:
            return
        previous = self._get(role, activation.previous)
        if previous is not None:
            self._put(role, InForce(previous))

    def _get_canary(self, role: str, canary: Canary) -> CanaryModel | None:
        model = self._get(role, canary.model)
        return None if model is None else CanaryModel(model, canary.share, canary.by == "source", canary.salt)

    def _get(self, role: str, address: ModelAddress) -> LoadedModel | None:
        """Return a model that is loaded, or load it; None when it is refused. Raises OutageError, UnclearError."""
        in_force = self._in_force.get(role)
        for model in in_force.sides().values() if in_force is not None else ():
            if model.digest == address.digest:
                return model
        try:
            with self._use(address) as files:
                return self._load(files.card, files.weights, self._rules[role])
        except ModelError as error:
            if error.code is ModelCode.DEVICE_UNAVAILABLE and role not in self._in_force:
                # The settings insist on a device that this machine does not have: no model could change that.
                raise
            self._refuse(role, address, error)
        except (ConfigurationError, OutageError, UnclearError):
            raise
        except Exception as error:  # noqa: BLE001 -- the boundary: whatever a model does to its engine, the worker goes on
            _log.exception("model failed while it was loaded", pipeline=self._pipeline, role=role, model=str(address))
            problem = f"{type(error).__name__} while it was loaded"
            self._refuse(role, address, ModelError(ModelCode.UNSUPPORTED, str(address), problem))
        return None

    def _refuse(self, role: str, address: ModelAddress, error: ModelError) -> None:
        self._troubles[role] = str(error)
        metrics.MODELS_REFUSED.labels(self._pipeline, role, error.code.value).inc()
        _log.error(
            "model refused", pipeline=self._pipeline, role=role, model=str(address), digest=address.digest,
            code=error.code.value, reason=str(error),
        )  # fmt: skip
        self._on_refused(Refusal(self._pipeline, role, address, error))

    def _put(self, role: str, models: InForce) -> None:
        before = self._in_force.get(role)
        # A new dictionary: `problem` may be reading the old one in another thread.
        self._in_force = self._in_force | {role: models}
        if all(name in self._in_force for name in self._rules):
            # One assignment, so that a batch sees the old lineup or the new one.
            self._lineup = self._build()
        gauges.show(self._pipeline, role, {} if before is None else before.sides(), models.sides())
        for side, model in models.sides().items():
            _log.info(
                "model in force", pipeline=self._pipeline, role=role, side=side, name=model.card.name,
                version=model.card.version, digest=model.digest, provider=model.engine.provider,
            )  # fmt: skip

    def _build(self) -> Lineup:
        ordered = {role: self._in_force[role] for role in self._rules}
        return Lineup(
            live={role: models.live for role, models in ordered.items()},
            canary={role: models.canary for role, models in ordered.items() if models.canary is not None},
            shadow={role: models.shadow for role, models in ordered.items() if models.shadow is not None},
        )
