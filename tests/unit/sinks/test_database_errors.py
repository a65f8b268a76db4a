"""Every SQLSTATE that PostgreSQL has, and every error class of psycopg2, means one thing to us."""

from collections.abc import Callable

import psycopg2
import psycopg2.errorcodes
import pytest
import sqlalchemy.exc as alchemy

from schemas.errors import Code, ConfigurationError, InputError, OutageError, SetupError, SightlineError, UnclearError
from sightline.runtime.database import database_engine, map_database_error

# What the contract says of each class of SQLSTATE; a class that is not here is unclear.
CLASSES: dict[str, type[SightlineError]] = {
    **dict.fromkeys(("08", "40", "53", "57", "58"), OutageError),
    **dict.fromkeys(("28", "3D", "3F", "42"), SetupError),
    **dict.fromkeys(("22", "23"), InputError),
}
# 23514 without a constraint's name, as here, is the missing partition.
STATES: dict[str, type[SightlineError]] = {"55P03": OutageError, "25006": SetupError, "23514": SetupError}
ALL_STATES = sorted(
    {
        state
        for name, state in vars(psycopg2.errorcodes).items()
        if name.isupper() and not name.startswith("CLASS_") and isinstance(state, str) and len(state) == 5
    }
)


def with_sqlstate(state: str) -> psycopg2.Error:
    error = psycopg2.DatabaseError("text that says nothing")
    # The one way to set what is otherwise set in C: psycopg2 pickles its errors.
    restore: Callable[[dict[str, str]], None] = error.__setstate__
    restore({"pgcode": state})
    assert error.pgcode == state
    return error


def test_the_list_of_states_is_the_whole_one() -> None:
    assert len(ALL_STATES) > 200
    assert {state[:2] for state in ALL_STATES} >= CLASSES.keys()


@pytest.mark.parametrize("state", ALL_STATES)
def test_every_sqlstate_has_its_meaning(state: str) -> None:
    expected = STATES.get(state, CLASSES.get(state[:2], UnclearError))
    assert type(map_database_error(with_sqlstate(state))) is expected


@pytest.mark.parametrize("state", ["08006", "42P01", "22P05"])
def test_an_error_wrapped_by_sqlalchemy_means_the_same(state: str) -> None:
    inner = with_sqlstate(state)
    outer = alchemy.DBAPIError("statement", None, inner)
    assert type(map_database_error(outer)) is type(map_database_error(inner))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg2.OperationalError("gone"), OutageError),
        (psycopg2.InterfaceError("closed"), OutageError),
        (psycopg2.DatabaseError("no message"), OutageError),
        (psycopg2.Error("bare"), OutageError),
        (psycopg2.DataError("x"), UnclearError),
        (psycopg2.IntegrityError("x"), UnclearError),
        (psycopg2.InternalError("x"), UnclearError),
        (psycopg2.NotSupportedError("x"), UnclearError),
        (psycopg2.ProgrammingError("x"), UnclearError),
        (alchemy.TimeoutError("pool"), OutageError),
        (alchemy.DisconnectionError("x"), OutageError),
        (alchemy.InvalidRequestError("x"), UnclearError),
    ],
)
def test_errors_without_a_sqlstate(error: Exception, expected: type[SightlineError]) -> None:
    assert type(map_database_error(error)) is expected


@pytest.mark.parametrize("error", [ValueError("NUL"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates")])
def test_text_that_psycopg2_refuses_is_the_rows_fault(error: Exception) -> None:
    mapped = map_database_error(error)
    assert isinstance(mapped, InputError)
    assert mapped.code is Code.ROW_REJECTED


@pytest.mark.parametrize("url", ["sqlite://", "mysql://x/y", "not a url", "postgresql+asyncpg://x/y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        database_engine(url, application_name="test")


def test_options_of_the_url_are_kept_beside_ours() -> None:
    engine = database_engine("postgresql://h/d?options=-c%20work_mem%3D8MB", application_name="test")
    assert engine.url.drivername == "postgresql+psycopg2"
    assert "options" not in engine.url.query
    engine.dispose()
