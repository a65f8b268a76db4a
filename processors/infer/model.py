"""A model that is ready: its card, its engine and its task's head."""

from dataclasses import dataclass, field

from processors.infer.batchsize import BatchSize
from processors.infer.interface import Engine, Head, Prepared
from schemas.modelcard import ModelCard
from schemas.result import ModelReference


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """See the module. `digest` names card and weights; `max_batch` is what memory and device allow in one run.

    `trial` is an input that the model has answered when it was loaded: by it a broken engine is told from a broken
    picture. `size` is how many pictures work at present.
    """

    card: ModelCard
    digest: str
    engine: Engine
    head: Head
    max_batch: int
    trial: Prepared | None = None
    size: BatchSize = field(init=False)

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"max_batch: expected at least 1, got {self.max_batch}")
        object.__setattr__(self, "size", BatchSize(self.max_batch))

    def reference(self, role: str) -> ModelReference:
        """Return how results name this model."""
        return ModelReference(role=role, name=self.card.name, version=self.card.version, digest=self.digest)
