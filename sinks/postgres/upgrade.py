"""Bringing a database to the tables that this release expects."""

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from schemas.errors import SetupError
from sightline.runtime.database import SERVICE, database_engine, transaction
from sinks.postgres.partitions import ensure_partitions

# Any constant that no other user of the database takes.
_LOCK_KEY = 0x51_67_68_74_00


def upgrade(url: str) -> None:
    """Run the migrations that are missing, then make the partitions of the months to come.

    Any number of processes may call this at once: one does the work, the others wait for it. Does nothing
    on a database that is up to date. Blocks as long as the migrations take. Raises OutageError, SetupError
    (also when the tables are those of a later release) and ConfigurationError.
    """
    engine = database_engine(url, application_name="sightline-upgrade", pool_size=3, statement_timeout_s=0)
    try:
        # The lock has a connection of its own, since migrations commit on theirs one by one.
        with transaction(engine) as guard:
            guard.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
            with engine.connect() as connection:
                _migrate(connection)
            now = guard.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
            ensure_partitions(engine, now)
    finally:
        engine.dispose()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "sinks.postgres:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SetupError(SERVICE, "the tables are not those of this release or an earlier one") from error
