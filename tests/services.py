"""The session's real services: started when a test first asks for one, restarted when a test left one down."""

import shutil
import tempfile
from collections.abc import Iterator
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

__all__ = ["S3", "SERVICE_FIXTURES", "Kafka", "Postgres", "restart_what_is_down", "serve"]

SERVICE_FIXTURES = frozenset({"kafka", "postgres", "s3"})

_Service = TypeVar("_Service", bound=LocalService)
_serving: list[LocalService] = []


@contextmanager
def serve(kind: type[_Service]) -> Iterator[_Service]:
    """Run one service in a folder of its own until the block ends; a missing tool fails the test in one line."""
    # Not pytest's folder: PostgreSQL runs as another user when we are root, and pytest closes its own to others.
    folder = Path(tempfile.mkdtemp(prefix=f"sightline-{kind.name}-"))
    service = kind(folder, free_port(), die_with_us=True)
    _serving.append(service)
    try:
        _start(service)
        yield service
    finally:
        _serving.remove(service)
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)


def restart_what_is_down() -> None:
    """Start what an earlier test stopped or killed and, because it failed, did not start again."""
    for service in _serving:
        _start(service)


def _start(service: LocalService) -> None:
    try:
        service.start()
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)
