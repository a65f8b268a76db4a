"""The session's real services: started when a test first asks for one, restarted when a test left one down."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from infra.local.kafka import Kafka
from infra.local.postgres import Postgres
from infra.local.process import free_port
from infra.local.s3 import S3
from infra.local.service import LocalService
from schemas.errors import ConfigurationError

__all__ = [
    "S3",
    "SERVICE_FIXTURES",
    "Kafka",
    "Postgres",
    "make_kafka",
    "make_postgres",
    "make_s3",
    "restart_what_is_down",
    "running",
    "serve",
]

SERVICE_FIXTURES = frozenset({"kafka", "postgres", "s3"})

_Service = TypeVar("_Service", bound=LocalService)
_serving: list[LocalService] = []


def make_kafka(folder: Path) -> Kafka:
    """Make a broker that a proxy may stand before; see `infra.local.kafka.Kafka`."""
    return Kafka(folder, free_port(), via_port=free_port(), die_with_us=True)


def make_postgres(folder: Path) -> Postgres:
    return Postgres(folder, free_port(), die_with_us=True)


def make_s3(folder: Path) -> S3:
    return S3(folder, free_port(), die_with_us=True)


@contextmanager
def running(make: Callable[[Path], _Service]) -> Iterator[_Service]:
    """Run one service in a folder of its own until the block ends. Raises ConfigurationError and OutageError."""
    # Not pytest's folder: PostgreSQL runs as another user when we are root, and pytest closes its own to others.
    folder = Path(tempfile.mkdtemp(prefix="sightline-service-"))
    service = make(folder)
    _serving.append(service)
    try:
        service.start()
        yield service
    finally:
        _serving.remove(service)
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serve(make: Callable[[Path], _Service]) -> Iterator[_Service]:
    """As `running`; a missing tool fails the test in one line."""
    try:
        with running(make) as service:
            yield service
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)


def restart_what_is_down() -> None:
    """Start what an earlier test stopped or killed and, because it failed, did not start again."""
    for service in _serving:
        service.start()
