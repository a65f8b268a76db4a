"""What every test can ask for: real services, each started once a session and only when a test wants it."""

from collections.abc import Iterator

import pytest

from tests.services import S3, SERVICE_FIXTURES, Kafka, Postgres, restart_what_is_down, serve

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """Apache Kafka: `bootstrap`, `stop()`, `kill()`, `start()`."""
    with serve(Kafka) as service:
        yield service


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL with an empty database: `url`, `stop()`, `kill()`, `start()`."""
    with serve(Postgres) as service:
        yield service


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server with a bucket: `endpoint_url`, `access_key`, `secret_key`, `bucket`, `client()`, the verbs."""
    with serve(S3) as service:
        yield service


@pytest.fixture(autouse=True)
def _services_are_up() -> None:
    """A chaos test that fails half-way must not fail those after it."""
    restart_what_is_down()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a real service, so that `-m "not services"` never starts one."""
    for item in items:
        if SERVICE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.services)
