"""The table `result_cache`: answers that all workers share."""

from itertools import count

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from schemas.resultcache import CacheKey, Entry
from sightline.runtime.database import database_engine, transaction
from sightline.runtime.resultcache.guard import DEADLINE_S, READERS
from sinks.postgres.tables import result_cache

PURGE_EVERY = 100  # puts
PURGE_ROWS = 1000
_CONNECT_TIMEOUT_S = 2  # libpq takes no less
_WRITE_TIMEOUT_S = 5.0


class PostgresCacheStore:
    """See `sightline.runtime.resultcache.CacheStore`. Expiry goes by the database's clock, not by the workers'.

    Connects on first use. Reads are cut off by the server when nobody waits for them any more. Every now and
    then a put deletes what has expired, a bounded number of rows. Calls raise OutageError, SetupError,
    InputError and UnclearError as `transaction` does; the constructor raises ConfigurationError.
    """

    def __init__(self, url: str) -> None:
        self._readers = database_engine(
            url,
            application_name="sightline-cache",
            pool_size=READERS,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            statement_timeout_s=DEADLINE_S,
            pre_ping=False,  # what broke in the pool costs one miss
        )
        # One statement needs no BEGIN and COMMIT around it: two round trips fewer.
        self._reading = self._readers.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = database_engine(
            url,
            application_name="sightline-cache",
            pool_size=1,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            statement_timeout_s=_WRITE_TIMEOUT_S,
        )
        self._puts = count()

    def get(self, key: CacheKey) -> Entry | None:
        """Return the entry under `key`, if there is one that has not expired."""
        kept = result_cache.c
        query = select(kept.result_id, kept.body).where(kept.key == key.digest, kept.expires_at > func.now())
        with transaction(self._reading) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Entry(row.result_id, bytes(row.body))

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        """Keep an entry, in place of an earlier one."""
        values = {
            "pipeline": key.pipeline,
            "result_id": entry.result_id,
            "body": entry.body,
            "expires_at": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, ttl_s),
        }
        statement = insert(result_cache).values(key=key.digest, **values)
        with transaction(self._writer) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))
        if next(self._puts) % PURGE_EVERY == 0:
            self._purge()

    def close(self) -> None:
        """Close the connections."""
        self._readers.dispose()
        self._writer.dispose()

    def _purge(self) -> None:
        """Delete expired rows; those that another worker is about to delete or renew are left to it."""
        kept = result_cache.c
        expired = (
            select(kept.key)
            .where(kept.expires_at <= func.now())
            .order_by(kept.expires_at)
            .limit(PURGE_ROWS)
            .with_for_update(skip_locked=True)
        )
        with transaction(self._writer) as connection:
            connection.execute(delete(result_cache).where(kept.key.in_(expired)))
