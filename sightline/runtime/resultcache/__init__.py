"""Result caches: one in memory, and a guard that makes a cache of any store that may fail or be slow."""

from sightline.runtime.resultcache.guard import CacheStore, GuardedCache
from sightline.runtime.resultcache.memory import MemoryCache

__all__ = ["CacheStore", "GuardedCache", "MemoryCache"]
