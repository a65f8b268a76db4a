"""Answers given before, for the same bytes, models and settings."""

from pydantic import ValidationError

from processors.infer.lineup import Chosen
from processors.outcome import Context
from schemas.modelcard import Thresholds
from schemas.result import Result
from schemas.resultcache import CacheKey, Entry, cache_key


def look_up(sha256: str, chosen: Chosen, asked: Thresholds | None, context: Context) -> Result | None:
    """Return the result of an earlier frame, or None. Blocks for at most what the cache allows itself."""
    if context.cache is None or context.pipeline.cache is None:
        return None
    entry = context.cache.get(_key(sha256, chosen, asked, context))
    if entry is None:
        return None
    try:
        return Result.model_validate_json(entry.body)
    except ValidationError:  # of another release: as good as none
        return None


def remember(sha256: str, chosen: Chosen, asked: Thresholds | None, result: Result, context: Context) -> None:
    """Keep a result for frames of the same bytes, without what says whose picture it was: that may be personal."""
    if context.cache is None or context.pipeline.cache is None:
        return
    key = _key(sha256, chosen, asked, context)
    nobodys = result.model_copy(update={"frame_id": "", "event_id": None, "source": "", "origin": None})
    context.cache.put(key, Entry(result.result_id, nobodys.to_json()), context.pipeline.cache.ttl_s)


def _key(sha256: str, chosen: Chosen, asked: Thresholds | None, context: Context) -> CacheKey:
    digests = {role: model.digest for role, model in chosen.items()}
    return cache_key(sha256, context.pipeline.name, digests, context.settings.of(asked))
