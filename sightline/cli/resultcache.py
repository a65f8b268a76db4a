"""Opening the result cache that the settings ask for."""

from schemas.resultcache import ResultCache
from sightline.runtime.clock import SystemClock
from sightline.runtime.resultcache import GuardedCache, MemoryCache
from sightline.runtime.settings import Settings


def open_result_cache(settings: Settings) -> ResultCache | None:
    """Return the cache of this process, or None where it is off; one for all its pipelines.

    Connects to nothing yet: a database that is away is no reason not to start. Raises ConfigurationError where
    `postgres` is asked for without a database's address.
    """
    clock = SystemClock()
    match settings.worker.result_cache:
        case "off":
            return None
        case "memory":
            return MemoryCache(settings.worker.result_cache_bytes, clock)
        case "postgres":
            # Imported here: a worker without a database need not hold SQLAlchemy in memory (19 MB).
            from sinks.postgres.resultcache import PostgresCacheStore  # noqa: PLC0415

            return GuardedCache(PostgresCacheStore(settings.database_url()), clock)
