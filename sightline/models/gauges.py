"""The gauges that say which models are loaded: what is no longer there must not be shown."""

from collections.abc import Mapping

from processors.infer.model import LoadedModel
from sightline.runtime import metrics

Sides = Mapping[str, LoadedModel]


def show(pipeline: str, role: str, before: Sides, after: Sides) -> None:
    """Put the models of a role by side in place of those that were shown before."""
    for side, model in before.items():
        metrics.MODEL_LOADED.remove(*_labels(pipeline, role, side, model))
        if side == "live":
            metrics.INFERENCE_PROVIDER.remove(pipeline, role, model.engine.provider)
    for side, model in after.items():
        metrics.MODEL_LOADED.labels(*_labels(pipeline, role, side, model)).set(1)
        if side == "live":
            metrics.INFERENCE_PROVIDER.labels(pipeline, role, model.engine.provider).set(1)


def _labels(pipeline: str, role: str, side: str, model: LoadedModel) -> tuple[str, ...]:
    return pipeline, role, side, model.card.name, model.card.version, model.digest
