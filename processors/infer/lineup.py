"""Which model answers which frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.infer.model import LoadedModel
from schemas.activation import takes_side

Chosen = Mapping[str, LoadedModel]  # by role, in the order of the pipeline's definition


@dataclass(frozen=True, slots=True)
class CanaryModel:
    """A model that answers a share of the frames; see `schemas.activation.Canary`."""

    model: LoadedModel
    share: float
    by_source: bool
    salt: str


@dataclass(frozen=True, slots=True)
class Lineup:
    """The models in force at one moment. A batch takes one lineup and keeps it to its end."""

    live: Mapping[str, LoadedModel] = field(default_factory=dict)
    canary: Mapping[str, CanaryModel] = field(default_factory=dict)
    shadow: Mapping[str, LoadedModel] = field(default_factory=dict)

    def choose(self, frame_id: str, source: str) -> Chosen:
        """Return the models whose answer is the live one for a frame: the same on any worker."""
        return {role: self._one(role, model, frame_id, source) for role, model in self.live.items()}

    def shadowing(self, chosen: Chosen) -> Chosen | None:
        """Return the models that answer beside the live ones, or None where nothing is shadowed."""
        return {**chosen, **self.shadow} if self.shadow else None

    def _one(self, role: str, live: LoadedModel, frame_id: str, source: str) -> LoadedModel:
        canary = self.canary.get(role)
        if canary is None:
            return live
        subject = source if canary.by_source else frame_id
        return canary.model if takes_side(canary.salt, subject, canary.share) else live
