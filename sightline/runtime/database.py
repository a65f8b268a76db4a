"""PostgreSQL: one way to connect, one way to run a transaction, one place where its errors become ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy import exc as alchemy

from schemas.errors import (
    Code,
    ConfigurationError,
    InputError,
    OutageError,
    SetupError,
    SightlineError,
    Stage,
    UnclearError,
)

SERVICE = "postgres"

# By SQLSTATE class, its first two characters. 40 is here because a transaction that lost against another one
# succeeds when it is run again.
OUTAGE_CLASSES = frozenset({"08", "40", "53", "57", "58"})
SETUP_CLASSES = frozenset({"28", "3D", "3F", "42"})
INPUT_CLASSES = frozenset({"22", "23"})
# By full SQLSTATE, before the class is looked at.
OUTAGE_STATES = frozenset({"55P03"})  # lock not available in time
SETUP_STATES = frozenset({"25006"})  # read-only transaction: we are connected to a standby
CHECK_VIOLATION = "23514"


def database_engine(
    url: str,
    *,
    application_name: str,
    pool_size: int = 2,
    connect_timeout_s: int = 5,
    statement_timeout_s: float = 60,
    pre_ping: bool = True,
) -> Engine:
    """Make an engine for `postgresql://…`; connects on first use only.

    Connections that broke while they lay in the pool are noticed and replaced before use, unless `pre_ping` is
    off, which saves a round trip and makes the first use fail. A peer that went away without a word is noticed
    within half a minute. Raises ConfigurationError for any other scheme.
    """
    try:
        address = make_url(url)
    except alchemy.ArgumentError:
        raise ConfigurationError("SIGHTLINE_DATABASE_URL", "not a URL") from None
    if address.drivername not in {"postgresql", "postgresql+psycopg2"}:
        raise ConfigurationError("SIGHTLINE_DATABASE_URL", "must begin with postgresql://")
    given = address.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    return create_engine(
        address.set(drivername="postgresql+psycopg2").difference_update_query(["options"]),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=connect_timeout_s,
        pool_pre_ping=pre_ping,
        connect_args={
            "application_name": application_name,
            "client_encoding": "UTF8",
            "connect_timeout": connect_timeout_s,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "options": f"-c statement_timeout={round(statement_timeout_s * 1000)} {options}".rstrip(),
        },
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Run a block in one transaction, committed at its end; errors come out as ours (see `map_database_error`).

    A connection that broke is thrown away; the next transaction opens another one.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except (alchemy.SQLAlchemyError, psycopg2.Error, ValueError) as error:
        raise map_database_error(error) from error


def map_database_error(error: Exception) -> SightlineError:
    """Turn an error of SQLAlchemy or psycopg2 into one of ours, by type and SQLSTATE alone.

    ValueError (and UnicodeEncodeError) is what psycopg2 raises for text that PostgreSQL cannot hold.
    A connection that was never made carries no SQLSTATE, so a wrong password looks like an outage.
    """
    cause = error.orig if isinstance(error, alchemy.DBAPIError) and error.orig is not None else error
    if isinstance(cause, psycopg2.Error):
        return _map_driver_error(cause)
    if isinstance(cause, ValueError):
        return InputError(Code.ROW_REJECTED, Stage.SINK_POSTGRES, "text that the database cannot hold")
    if isinstance(cause, alchemy.TimeoutError | alchemy.DisconnectionError):
        return OutageError(SERVICE, "no connection was free or alive")
    return UnclearError(f"{SERVICE}: {type(cause).__name__}")


def _map_driver_error(error: psycopg2.Error) -> SightlineError:
    if error.pgcode is not None:
        return _map_sqlstate(error.pgcode, error.diag.constraint_name, error.diag.message_primary or "")
    # What libpq reports without the server's help is a connection that is gone; psycopg2 uses the bare
    # DatabaseError for some of these. The other subclasses are its own complaints about a call.
    if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or type(error) in _BARE_ERRORS:
        return OutageError(SERVICE, "the connection could not be made, or broke")
    return UnclearError(f"{SERVICE}: {type(error).__name__} without SQLSTATE")


_BARE_ERRORS = (psycopg2.Error, psycopg2.DatabaseError)


def _map_sqlstate(sqlstate: str, constraint: str | None, message: str) -> SightlineError:
    """Map a server's error. `message` is passed on only where it speaks of our setup: elsewhere it quotes rows."""
    group = sqlstate[:2]
    if sqlstate in OUTAGE_STATES or group in OUTAGE_CLASSES:
        return OutageError(SERVICE, f"SQLSTATE {sqlstate}")
    if sqlstate in SETUP_STATES or group in SETUP_CLASSES:
        return SetupError(SERVICE, f"SQLSTATE {sqlstate}: {message}")
    if sqlstate == CHECK_VIOLATION and constraint is None:
        # A check constraint names itself; "no partition of relation found for row" has no name to give.
        return SetupError(SERVICE, "a partition is missing")
    if group in INPUT_CLASSES:
        return InputError(Code.ROW_REJECTED, Stage.SINK_POSTGRES, f"SQLSTATE {sqlstate}")
    return UnclearError(f"{SERVICE}: SQLSTATE {sqlstate}")
