"""A world of its own for each test, on the session's real services."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import S3, Kafka, Postgres
from tests.world import World, make_world


@pytest.fixture
def world(tmp_path: Path, kafka: Kafka, postgres: Postgres, s3: S3) -> Iterator[World]:
    access = {"endpoint_url": s3.endpoint_url, "access_key": s3.access_key, "secret_key": s3.secret_key}
    with make_world(tmp_path, kafka.bootstrap, postgres.url, f"s3://{s3.bucket}", access) as made:
        yield made
