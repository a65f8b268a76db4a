"""Contexts with models for tests of the data path."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from processors.budget import PixelBudget
from processors.infer.interface import EngineError, Tensor
from processors.infer.lineup import CanaryModel, Lineup
from processors.infer.model import LoadedModel
from processors.outcome import Context
from processors.pipelines import load_builtin
from schemas.pipeline import PipelineDefinition
from schemas.resultcache import ResultCache
from tests.scenes import loaded, model_folders
from tests.unit.processors import samples


def definition(like: str, **changes: Any) -> PipelineDefinition:
    """Return a built-in pipeline with changes."""
    return PipelineDefinition.model_validate(load_builtin(like).model_dump() | changes)


def models_of(pipeline: str, folder: Path) -> dict[str, LoadedModel]:
    """Return a steady model for each role of a built-in pipeline."""
    rules = load_builtin(pipeline).models
    return {role: loaded(path, rules[role]) for role, path in model_folders(pipeline, folder).items()}


def context(
    pipeline: PipelineDefinition,
    live: Mapping[str, LoadedModel],
    *,
    canary: Mapping[str, CanaryModel] | None = None,
    shadow: Mapping[str, LoadedModel] | None = None,
    cache: ResultCache | None = None,
) -> Context:
    """Make surroundings with these models, and a clock that stands still."""
    lineup = Lineup(live, canary or {}, shadow or {})
    pixels = PixelBudget(64_000_000)
    return Context(pipeline, lambda: samples.NOW, time.perf_counter, pixels, lambda: lineup, cache)


class BrokenEngine:
    """Stands in for an engine; counts its runs and raises whatever it is told to, or EngineError."""

    def __init__(self, like: LoadedModel, error: Exception | None = None) -> None:
        self.provider, self.inputs, self.outputs = like.engine.provider, like.engine.inputs, like.engine.outputs
        self.runs = 0
        self._error = error or EngineError("broken")

    def run(self, batch: Tensor) -> list[Tensor]:
        del batch
        self.runs += 1
        raise self._error

    def close(self) -> None:
        pass


class CountingEngine:
    """Runs another engine, and remembers how many pictures each run had."""

    def __init__(self, like: LoadedModel) -> None:
        self.provider, self.inputs, self.outputs = like.engine.provider, like.engine.inputs, like.engine.outputs
        self.batches: list[int] = []
        self._engine = like.engine

    def run(self, batch: Tensor) -> list[Tensor]:
        self.batches.append(len(batch))
        return self._engine.run(batch)

    def close(self) -> None:
        self._engine.close()


def with_engine(model: LoadedModel, engine: BrokenEngine | CountingEngine) -> LoadedModel:
    """Return a model that another engine runs."""
    return replace(model, engine=engine)
