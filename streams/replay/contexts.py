"""The data path as each replay wants it: the worker's own, or one of its own rules and models."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from processors.infer.lineup import Lineup
from processors.infer.model import LoadedModel
from processors.outcome import Context
from schemas.activation import ModelAddress
from schemas.errors import ConfigurationError, InputError, OutageError, UnclearError
from schemas.pipeline import ModelRules, PipelineDefinition
from schemas.replay import Overrides, OverridesReference
from sightline.runtime.log import get_logger
from streams.replay.documents import invalid

_log = get_logger(__name__)
# So many sets of overrides with their models stay loaded; the one that was used longest ago goes first.
_KEPT: Final = 3

# Loads one model for a role of a definition; blocks. Raises ConfigurationError (ModelError), OutageError, UnclearError.
OpenModel = Callable[[PipelineDefinition, ModelAddress, ModelRules], LoadedModel]


class ReadsDocuments(Protocol):
    """Where overrides are read; see `streams.replay.documents.Documents`."""

    def get(self, reference: OverridesReference) -> Overrides:
        """Return a document. Blocks."""
        ...


@dataclass(slots=True)
class _Loaded:
    """A data path, the models that are its own, how many batches use it, or why it cannot be."""

    context: Context | None
    own: Mapping[str, LoadedModel]
    users: int = 0
    refused: InputError | None = None


class ReplayContexts:
    """Data paths by overrides, built on first use and kept. Safe to use from several threads.

    `live` is the worker's own. A replay never asks the result cache, and publishes nothing for hospital systems.
    """

    def __init__(self, live: Context, documents: ReadsDocuments, open_model: OpenModel) -> None:
        self._live = replace(live, pipeline=_apart(live.pipeline), lineup=partial(_unshadowed, live.lineup), cache=None)
        self._documents = documents
        self._open_model = open_model
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    @contextmanager
    def use(self, reference: OverridesReference | None) -> Iterator[Context]:
        """Yield the data path; blocks while it is built. Raises OutageError, InputError (`overrides_invalid`)."""
        if reference is None:
            yield self._live
            return
        with self._lock:
            loaded = self._get(reference)
            if loaded.context is None:
                raise loaded.refused or invalid("the overrides cannot be used")
            loaded.users += 1
        try:
            yield loaded.context
        finally:
            with self._lock:
                loaded.users -= 1

    def _get(self, reference: OverridesReference) -> _Loaded:
        known = self._loaded.get(reference.digest)
        if known is None:
            self._make_room()
            known = self._loaded[reference.digest] = self._load(reference)
        self._loaded.move_to_end(reference.digest)
        return known

    def _make_room(self) -> None:
        while len(self._loaded) >= _KEPT:
            idle = next((digest for digest, one in self._loaded.items() if not one.users), None)
            if idle is None:
                return
            for model in self._loaded.pop(idle).own.values():
                model.engine.close()

    def _load(self, reference: OverridesReference) -> _Loaded:
        try:
            overrides = self._documents.get(reference)
            return self._build(overrides)
        except ConfigurationError as error:
            refused = invalid(f"what the replay wants cannot be used: {type(error).__name__}")
            _log.error("overrides refused", digest=reference.digest, reason=str(error))
        except InputError as error:
            refused = error
            _log.error("overrides refused", digest=reference.digest, reason=error.reason)
        except UnclearError as unclear:
            raise OutageError("overrides", str(unclear)) from unclear
        except OutageError:
            raise
        except Exception as error:  # noqa: BLE001 -- the boundary: whatever a model does to its engine, the worker goes on
            refused = invalid(f"what the replay wants cannot be used: {type(error).__name__}")
            _log.exception("overrides failed while they were loaded", digest=reference.digest)
        return _Loaded(None, {}, refused=refused)

    def _build(self, overrides: Overrides) -> _Loaded:
        """Build the data path. Results carry the name of the pipeline that is replayed, whatever its file is called."""
        live = self._live.pipeline
        wanted = overrides.definition or live
        definition = _apart(wanted.model_copy(update={"name": live.name}))
        inherited = [role for role in definition.models if role not in overrides.models]
        if any(definition.models[role] != live.models.get(role) for role in inherited):
            raise ConfigurationError(", ".join(inherited), "roles that differ from the live pipeline's need own models")
        own: dict[str, LoadedModel] = {}
        for role, address in overrides.models.items():
            if role not in definition.models:
                raise ConfigurationError(role, "is no role of the pipeline")
            own[role] = self._open_model(definition, address, definition.models[role])
        lineup = partial(_with_own, self._live.lineup, tuple(definition.models), own)
        return _Loaded(replace(self._live, pipeline=definition, lineup=lineup), own)


def _apart(definition: PipelineDefinition) -> PipelineDefinition:
    return definition.model_copy(update={"emr": False, "cache": None})


def _unshadowed(live: Callable[[], Lineup]) -> Lineup:
    return replace(live(), shadow={})


def _with_own(live: Callable[[], Lineup], roles: tuple[str, ...], own: Mapping[str, LoadedModel]) -> Lineup:
    lineup = live()
    models = {**lineup.live, **own}
    canary = {role: one for role, one in lineup.canary.items() if role in roles and role not in own}
    return Lineup(live={role: models[role] for role in roles if role in models}, canary=canary)
