"""One model that a command runs by itself: from a folder or file, or from the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from processors.infer.engine import Device, EngineOptions
from processors.infer.loading import open_model
from processors.infer.model import LoadedModel
from sightline.models.cache import ModelCache
from sightline.models.engines import engine_cache
from sightline.models.local import LocalModel, read_model
from sightline.models.store import open_model_store
from sightline.runtime.settings import Settings


def engine_options(settings: Settings) -> EngineOptions:
    """Return how the settings want models to be run."""
    return EngineOptions(
        device=settings.worker.device,
        threads=settings.worker.model_threads(),
        memory_limit_bytes=settings.worker.memory_limit,
        engine_cache=engine_cache(settings),
    )


@contextmanager
def loaded_model(
    text: str,
    settings: Settings,
    *,
    device: Device | None = None,
    threads: int | None = None,
    max_batch: int | None = None,
) -> Iterator[LoadedModel]:
    """Load a path, or what `text` means in the store, until the block ends; the given options go over the settings.

    Blocks for seconds. Raises ModelError for a model that cannot be used, ConfigurationError and OutageError as the
    store does.
    """
    options = engine_options(settings)
    options = replace(options, device=device or options.device, threads=threads or options.threads)
    with _at_hand(text, settings) as found:
        model = open_model(found.card, found.weights, None, options, max_batch=max_batch, versions=1)
        try:
            yield model
        finally:
            model.engine.close()


@contextmanager
def _at_hand(text: str, settings: Settings) -> Iterator[LocalModel]:
    if Path(text).exists() or "/" in text or text.endswith(".onnx"):
        yield read_model(Path(text))
        return
    store = open_model_store(settings)
    address = store.find(text)
    with ModelCache(settings.models.cache_folder(), settings.models.cache_bytes, store.download).use(address) as model:
        yield model
