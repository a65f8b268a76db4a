"""Databases and object stores for the contract suites, one of its own for each test."""

import itertools
from collections.abc import Callable, Iterator

import psycopg2
import pytest
from sqlalchemy import Engine, make_url

from sightline.runtime.database import database_engine
from sinks.postgres.upgrade import upgrade
from tests.services import Postgres

TEMPLATE = "contract_template"
_numbers = itertools.count()


def execute(url: str, *statements: str) -> None:
    """Run statements outside any transaction."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def _address(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a database with all tables and no rows: copying it is faster than migrating again."""
    execute(postgres.url, f"CREATE DATABASE {TEMPLATE}")
    upgrade(_address(postgres.url, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def make_database(postgres: Postgres) -> Iterator[Callable[[str], str]]:
    """Make a database from a template and return its address; it goes when the test ends."""
    made: list[str] = []

    def make(template: str) -> str:
        made.append(f"contract_{next(_numbers)}")
        execute(postgres.url, f"CREATE DATABASE {made[-1]} TEMPLATE {template}")
        return _address(postgres.url, made[-1])

    yield make
    postgres.start()
    for name in made:
        execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(make_database: Callable[[str], str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = database_engine(database_url, application_name="contract", pool_size=2)
    yield made
    made.dispose()
