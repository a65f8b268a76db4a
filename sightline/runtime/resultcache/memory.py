"""The result cache of one process: bounded in bytes, and gone when the process ends."""

import threading
from typing import NamedTuple

from cachetools import TLRUCache

from schemas.resultcache import CacheKey, Entry
from sightline.runtime.clock import Clock
from sightline.runtime.metrics import RESULT_CACHE, RESULT_CACHE_BYTES

# What an entry takes besides its body: key, id, and places in two dictionaries and a heap (571 bytes, measured).
OVERHEAD_BYTES = 640


class _Kept(NamedTuple):
    entry: Entry
    ttl_s: int


class MemoryCache:
    """See `schemas.resultcache.ResultCache`. Where room is short, what was asked for longest ago goes first."""

    def __init__(self, capacity_bytes: int, clock: Clock) -> None:
        self._capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._kept: TLRUCache[str, _Kept] = TLRUCache(
            capacity_bytes, ttu=_expires_at, timer=clock.monotonic, getsizeof=_size_bytes
        )

    def get(self, key: CacheKey) -> Entry | None:
        """See the protocol."""
        with self._lock:
            kept = self._kept.get(key.digest)
        RESULT_CACHE.labels(key.pipeline, "miss" if kept is None else "hit").inc()
        return None if kept is None else kept.entry

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        """See the protocol. An entry that is larger than the whole cache is dropped."""
        kept = _Kept(entry, ttl_s)
        if _size_bytes(kept) > self._capacity_bytes:
            RESULT_CACHE.labels(key.pipeline, "dropped").inc()
            return
        with self._lock:
            self._kept[key.digest] = kept
            RESULT_CACHE_BYTES.set(self._kept.currsize)

    def close(self) -> None:
        """See the protocol."""
        with self._lock:
            self._kept.clear()
            RESULT_CACHE_BYTES.set(0)


def _expires_at(_: str, kept: _Kept, now: float) -> float:
    return now + kept.ttl_s


def _size_bytes(kept: _Kept) -> int:
    return len(kept.entry.body) + OVERHEAD_BYTES
