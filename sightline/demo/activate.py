"""Brings models into the running system as an operator does: into the store, in force over Kafka, then a worker."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from schemas.activation import ModelAddress
from sightline.demo.exhibits import Exhibit
from sightline.demo.system import MODELS, System
from sightline.models import changes
from sightline.models.changes import Author, Place
from sightline.models.local import read_model
from sightline.models.store import open_model_store
from sightline.runtime.settings import Settings
from streams.activations import publish_activation

_AUTHOR = "sightline demo"
_TIMEOUT_S = 15.0


class Activation:
    """`run` does all of it; `ready` says that the worker takes frames. `digests`: of each pipeline's roles."""

    def __init__(
        self, exhibits: Sequence[Exhibit], settings: Settings, system: System, environ: Mapping[str, str]
    ) -> None:
        self._exhibits = exhibits
        self._settings = settings
        self._system = system
        self._environ = environ
        self.digests: dict[str, dict[str, str]] = {}
        self.ready = False

    def run(self, stop: threading.Event) -> None:
        """Add, activate, start, and wait until the worker is ready. Raises SightlineError as these steps do."""
        added: dict[Path, ModelAddress] = {}
        for exhibit in self._exhibits:
            for role, folder in exhibit.models.items():
                if stop.is_set():
                    return
                if folder not in added:
                    added[folder] = self._add(folder)
                self._activate(Place(exhibit.pipeline, role), added[folder])
        self._system.start(MODELS, self._environ)
        self.ready = self._system.wait_ready(MODELS, stop)

    def _add(self, folder: Path) -> ModelAddress:
        model = read_model(folder)
        open_model_store(self._settings).add(model)
        return ModelAddress.of(model.card)

    def _activate(self, place: Place, address: ModelAddress) -> None:
        wanted = changes.activate(place, None, address, Author(_AUTHOR, datetime.now(UTC)))
        publish_activation(self._settings.kafka, wanted, timeout_s=_TIMEOUT_S)
        self.digests.setdefault(place.pipeline, {})[place.role] = address.digest
