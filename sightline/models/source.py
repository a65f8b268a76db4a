"""Where a worker's models come from, as the worker sees it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from processors.infer.lineup import Lineup
from processors.infer.model import LoadedModel
from schemas.activation import ModelAddress
from schemas.modelcard import ModelCard
from schemas.pipeline import ModelRules
from sightline.models.local import LocalModel

# Loads weights by their card and the file's path, checks them against what a role asks for, and warms them up.
# Blocks for seconds. Raises ModelError for whatever is wrong with the model.
Load = Callable[[ModelCard, Path, ModelRules], LoadedModel]
# Makes the files of a model available until the block ends; see `sightline.models.cache.ModelCache.use`.
Use = Callable[[ModelAddress], AbstractContextManager[LocalModel]]


class ModelSource(Protocol):
    """Models in force. A batch asks once for the lineup, and keeps it to its end."""

    def lineup(self) -> Lineup | None:
        """Return what is in force, or None while a role has no model yet. Never blocks."""
        ...

    def problem(self) -> str | None:
        """Say why there is no lineup, or None. Never blocks."""
        ...
