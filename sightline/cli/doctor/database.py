"""The database: reachable, migrated, and the rights that sinks need."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from schemas.errors import ConfigurationError, SetupError, SightlineError
from sightline.cli.doctor.clocks import check_clock
from sightline.cli.doctor.finding import Finding, away, fail, ok, warn
from sightline.runtime.database import database_engine, transaction
from sightline.runtime.settings import Settings
from sinks.postgres.tables import metadata, result_cache

_CHECK = "database"


def check_database(settings: Settings) -> Iterator[Finding]:
    """Look at the database, if one is set. Never raises for what it finds."""
    if settings.database.url is None:
        yield warn(_CHECK, "SIGHTLINE_DATABASE_URL is not set", "`sightline sink postgres` needs it")
        return
    try:
        engine = database_engine(settings.database_url(), application_name="sightline-doctor")
    except ConfigurationError as error:
        yield fail(_CHECK, str(error), "correct the URL")
        return
    try:
        yield from _look(engine, settings)
    except SetupError as error:
        yield fail(_CHECK, error.reason, "grant the user what it asks for")
    except SightlineError as error:
        yield away(_CHECK, str(error), "is it running, and are host, user and password right?")
    finally:
        engine.dispose()


def _look(engine: Engine, settings: Settings) -> Iterator[Finding]:
    with transaction(engine) as connection:
        before = datetime.now(UTC)
        version, now = connection.exec_driver_sql("SELECT version(), clock_timestamp()").one()
        yield ok(_CHECK, f"reached: {' '.join(version.split()[:2])}")
        yield check_clock(_CHECK, now, before, datetime.now(UTC))
        migrations = _migrations(connection)
        yield migrations
        if migrations.status == "ok":
            yield from _rights(connection)
            if settings.worker.result_cache == "postgres":
                yield _cache_rights(connection)


def _migrations(connection: Connection) -> Finding:
    config = Config()
    config.set_main_option("script_location", "sinks.postgres:migrations")
    config.set_main_option("path_separator", "os")
    wanted = ScriptDirectory.from_config(config).get_current_head()
    found = MigrationContext.configure(connection).get_current_revision()
    if found == wanted:
        return ok(_CHECK, f"migrated to {wanted}")
    return fail(_CHECK, f"migrated to {found or 'nothing'}, this release wants {wanted}", "run `sightline db upgrade`")


def _rights(connection: Connection) -> Iterator[Finding]:
    stored = sorted(set(metadata.tables) - {result_cache.name})
    wanted = [(table, right) for table in stored for right in ("SELECT", "INSERT")]
    wanted.append(("dead_letters", "UPDATE"))
    if missing := _missing(connection, wanted):
        yield fail(_CHECK, f"this user lacks {', '.join(missing)}", "grant it, or the sink waits")
    else:
        yield ok(_CHECK, "this user has the rights of a sink")
    may_create = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
    if not connection.exec_driver_sql(may_create).scalar():
        says = "this user cannot make partitions ahead"
        yield warn(_CHECK, says, "run `sightline db upgrade` monthly as one who can; else the DEFAULT ones take all")


def _cache_rights(connection: Connection) -> Finding:
    wanted = [(result_cache.name, right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    if missing := _missing(connection, wanted):
        return fail(_CHECK, f"this user lacks {', '.join(missing)}", "grant it, or each frame misses the result cache")
    return ok(_CHECK, "this user has the rights of a result cache")


def _missing(connection: Connection, wanted: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"{right} on {table}"
        for table, right in wanted
        if not connection.exec_driver_sql("SELECT has_table_privilege(%s, %s)", (table, right)).scalar()
    ]
