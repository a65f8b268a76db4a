"""The services that all other integration tests stand on: kill -9 and a restart keep what was acknowledged."""

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from minio import Minio
from minio.error import S3Error

from infra.local.process import ProcessId
from infra.local.service import LocalService
from tests.services import S3, Kafka, Postgres

ROOT = Path(__file__).parents[2]


def _kill_and_start(service: LocalService) -> None:
    before, port = service.process, service.port
    service.kill()
    assert not service.running
    service.start()
    assert service.running
    assert isinstance(service.process, ProcessId)
    assert service.process != before
    assert service.port == port


def _make_topic(kafka: Kafka) -> str:
    topic = f"services-{uuid.uuid4().hex[:8]}"
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=10)
    return topic


def _publish(kafka: Kafka, topic: str, values: list[bytes]) -> None:
    refused: list[Any] = []

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            refused.append(error)

    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all", "message.max.bytes": 18 * 2**20})
    for value in values:
        producer.produce(topic, value, on_delivery=delivered)
    assert producer.flush(20) == 0
    assert refused == []


def _read(kafka: Kafka, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": uuid.uuid4().hex})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes | None] = []
    deadline = time.monotonic() + 20
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            values.append(message.value())
    consumer.close()
    return values


def test_kafka_keeps_acknowledged_records_over_kill_9(kafka: Kafka) -> None:
    topic = _make_topic(kafka)
    values = [f"{number}".encode() for number in range(500)]
    _publish(kafka, topic, values)
    _kill_and_start(kafka)
    assert _read(kafka, topic, 500) == values


def test_kafka_stops_and_starts_on_the_same_port(kafka: Kafka) -> None:
    topic = _make_topic(kafka)
    _publish(kafka, topic, [b"before"])
    kafka.stop()
    assert not kafka.answers()
    kafka.start()
    _publish(kafka, topic, [b"after"])
    assert _read(kafka, topic, 2) == [b"before", b"after"]


def test_kafka_never_makes_a_topic_by_itself(kafka: Kafka) -> None:
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    assert client.list_topics("not-there", timeout=10).topics["not-there"].error is not None
    assert "not-there" not in client.list_topics(timeout=10).topics


def test_kafka_takes_a_record_of_16_mib(kafka: Kafka) -> None:
    topic = _make_topic(kafka)
    _publish(kafka, topic, [b"x" * (16 * 2**20)])
    (value,) = _read(kafka, topic, 1)
    assert value is not None
    assert len(value) == 16 * 2**20


def _execute(postgres: Postgres, statement: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(postgres.url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def test_postgres_keeps_committed_rows_over_kill_9(postgres: Postgres) -> None:
    table = f"services_{uuid.uuid4().hex[:8]}"
    _execute(postgres, f"CREATE TABLE {table} AS SELECT generate_series(1, 500) AS number")
    _kill_and_start(postgres)
    assert _execute(postgres, f"SELECT count(*) FROM {table}") == [(500,)]


def test_postgres_stop_cuts_clients_off_and_start_takes_them_again(postgres: Postgres) -> None:
    connection = psycopg2.connect(postgres.url)
    postgres.stop()
    with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection.close()
    postgres.start()
    assert _execute(postgres, "SELECT 1") == [(1,)]


def test_s3_keeps_acknowledged_objects_over_kill_9(s3: S3) -> None:
    prefix = uuid.uuid4().hex
    keys = {f"{prefix}/{number}" for number in range(50)}
    for key in keys:
        s3.client().put_object(s3.bucket, key, BytesIO(key.encode()), len(key))
    _kill_and_start(s3)
    found = s3.client().list_objects(s3.bucket, prefix=f"{prefix}/", recursive=True)
    assert {item.object_name for item in found} == keys
    with s3.client().get_object(s3.bucket, f"{prefix}/7") as answer:
        assert answer.read() == f"{prefix}/7".encode()


def test_s3_refuses_a_wrong_secret(s3: S3) -> None:
    intruder = Minio(f"127.0.0.1:{s3.port}", s3.access_key, "wrong-secret", secure=False, region=s3.region)
    with pytest.raises(S3Error) as refused:
        intruder.bucket_exists(s3.bucket)
    assert refused.value.code in {"SignatureDoesNotMatch", "AccessDenied"}


@pytest.mark.parametrize("end", [LocalService.stop, LocalService.kill])
def test_ending_twice_is_harmless(s3: S3, end: Callable[[LocalService], None]) -> None:
    end(s3)
    end(s3)
    assert not s3.running
    s3.start()
    s3.start()
    assert s3.answers()


def _services(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, str(ROOT / "infra/services.py"), command, "--dir", str(folder)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, cwd="/")


def test_the_command_line_starts_once_and_stops_what_it_started() -> None:
    with tempfile.TemporaryDirectory(prefix="sightline-services-") as scratch:
        folder = Path(scratch) / "services"
        try:
            first = _services(folder, "up")
            assert first.returncode == 0, first.stderr
            running = (folder / "state.json").read_text()
            again = _services(folder, "up")
            assert (again.returncode, again.stdout) == (0, first.stdout)
            assert (folder / "state.json").read_text() == running, "nothing was started twice"
            assert (folder / "env").read_text() == first.stdout
            settings = dict(line.removeprefix("export ").split("=", 1) for line in first.stdout.splitlines())
            bootstrap = settings["SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS"]
            assert AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).brokers
            psycopg2.connect(settings["SIGHTLINE_DATABASE_URL"]).close()
            assert _services(folder, "status").returncode == 0
        finally:
            down = _services(folder, "down")
        assert down.returncode == 0, down.stderr
        assert _services(folder, "status").returncode == 3
        assert not [p for p in psutil.process_iter(["cmdline"]) if _runs_in(p, folder)]


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    return str(folder) in " ".join(process.info["cmdline"] or ())
