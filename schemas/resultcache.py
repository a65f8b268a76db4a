"""Answers that may be given again: what a result cache holds, under which key, and what it promises."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from schemas.encoding import canonical_json
from schemas.identity import sha256_hex


class CacheKey(NamedTuple):
    """What an answer depends on. Made by `cache_key`; the pipeline stands beside the digest for metrics."""

    pipeline: str
    digest: str  # SHA-256 in lower-case hexadecimal


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer given before: the id of the result that it was, and that result's JSON."""

    result_id: str
    body: bytes


class ResultCache(Protocol):
    """Keeps answers for a time. May be called from several threads.

    Whatever goes wrong inside is a miss: no call raises, and none blocks for more than 50 ms.
    """

    def get(self, key: CacheKey) -> Entry | None:
        """Return the answer kept under `key`, if there is one that has not expired."""
        ...

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        """Keep an answer for `ttl_s` seconds (at least 1), in place of an earlier one; or drop it when that is hard."""
        ...

    def close(self) -> None:
        """Give back threads and connections; the cache is not used again."""
        ...


def cache_key(sha256: str, pipeline: str, digests: Mapping[str, str], settings_digest: str) -> CacheKey:
    """Name an answer by all that it depends on.

    `sha256` is that of the picture's bytes, `digests` those of the models by role, `settings_digest` that of the
    settings in force for this frame. Raises ValueError on lone surrogates.
    """
    parts = {"content": sha256, "models": dict(digests), "pipeline": pipeline, "settings": settings_digest}
    return CacheKey(pipeline, sha256_hex(canonical_json(parts)))
