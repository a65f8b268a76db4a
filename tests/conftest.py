"""What every test can ask for: real services, each started once a session and only when a test wants it."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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
_SHOWN_LINES, _SHOWN_CHARACTERS = 15, 300


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
def _services_are_up(tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: ARG001 -- for the report below
    """A chaos test that fails half-way must not fail those after it."""
    restart_what_is_down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show what the processes of a failed test said at the end."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        folders = item.funcargs["tmp_path_factory"]
        assert isinstance(folders, pytest.TempPathFactory)
        logs = [log for log in folders.getbasetemp().rglob("*.log") if log.stat().st_mtime >= call.start]
        report.sections += [(f"end of {log.name}", _end(log)) for log in sorted(logs)]
    return report


def _end(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    return "\n".join(line[:_SHOWN_CHARACTERS] for line in lines[-_SHOWN_LINES:])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a real service, so that `-m "not services"` never starts one."""
    for item in items:
        if SERVICE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.services)
