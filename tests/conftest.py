"""What every test can ask for: real services, each started once a session and only when a test wants it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.services import (
    S3,
    SERVICE_FIXTURES,
    Kafka,
    Postgres,
    make_kafka,
    make_postgres,
    make_s3,
    restart_what_is_down,
    serve,
)
from tests.world import World, make_world

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """Apache Kafka: `bootstrap`, `stop()`, `kill()`, `start()`."""
    with serve(make_kafka) as service:
        yield service


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL with an empty database: `url`, `stop()`, `kill()`, `start()`."""
    with serve(make_postgres) as service:
        yield service


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server with a bucket: `endpoint_url`, `access_key`, `secret_key`, `bucket`, `client()`, the verbs."""
    with serve(make_s3) as service:
        yield service


@pytest.fixture
def world(tmp_path: Path, kafka: Kafka, postgres: Postgres, s3: S3) -> Iterator[World]:
    """Topics, database and objects of one test's own, on the session's services."""
    access = {"endpoint_url": s3.endpoint_url, "access_key": s3.access_key, "secret_key": s3.secret_key}
    with make_world(tmp_path, kafka.bootstrap, postgres.url, f"s3://{s3.bucket}", access) as made:
        yield made


@pytest.fixture
def world_like(tmp_path: Path, kafka: Kafka, postgres: Postgres, s3: S3) -> Iterator[Callable[[str], World]]:
    """As `world`, for the built-in pipelines that the test names."""
    access = {"endpoint_url": s3.endpoint_url, "access_key": s3.access_key, "secret_key": s3.secret_key}
    with ExitStack() as stack:

        def make(like: str) -> World:
            made = make_world(tmp_path / like, kafka.bootstrap, postgres.url, f"s3://{s3.bucket}", access, like)
            return stack.enter_context(made)

        yield make


@pytest.fixture(autouse=True)
def _services_are_up() -> None:
    """A chaos test that fails half-way must not fail those after it."""
    restart_what_is_down()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a real service, so that `-m "not services"` never starts one."""
    for item in items:
        if SERVICE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.services)
