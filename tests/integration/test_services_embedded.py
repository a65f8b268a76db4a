"""What `sightline demo` runs on."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from schemas.errors import OutageError
from sightline.runtime.kafka import SESSION_TIMEOUT_MS, make_consumer
from sightline.runtime.services import embedded
from sightline.runtime.services.embedded import Embedded
from sightline.runtime.settings import load_settings

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from sightline.runtime.services.embedded import Embedded
Embedded(Path(sys.argv[1])).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can enter, which pytest's are not when we are root."""
    path = Path(tempfile.mkdtemp(prefix="sightline-embedded-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _processes_of(folder: Path) -> list[int]:
    running = (p for p in psutil.process_iter(["cmdline", "status"]) if p.info["status"] != psutil.STATUS_ZOMBIE)
    return [process.pid for process in running if str(folder) in " ".join(process.info["cmdline"] or ())]


def _execute(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def test_everything_answers_within_seconds(folder: Path) -> None:
    started = time.monotonic()
    with Embedded(folder, ["frames.civic", "results.civic"]) as services:
        assert time.monotonic() - started < 15, "2 s on a quiet machine"
        settings = services.settings()
        bootstrap = settings["SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS"]
        topics = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
        assert {name: len(topic.partitions) for name, topic in topics.items()} == {
            "frames.civic": 4,
            "results.civic": 4,
        }
        _round_trip(bootstrap)
        _execute(settings["SIGHTLINE_DATABASE_URL"], "CREATE TABLE kept (number int)")
        assert Path(urlsplit(settings["SIGHTLINE_OBJECTS_URL"]).path).is_dir()
        assert _processes_of(folder)
    assert services.settings() == {}
    assert _processes_of(folder) == []


def _round_trip(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce("frames.civic", b"picture")
    assert producer.flush(10) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["frames.civic"])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert message.value() == b"picture"


def test_who_joins_a_group_while_the_broker_stands_still_asks_again(folder: Path) -> None:
    with Embedded(folder, ["frames.civic"]) as services:
        [broker] = [one for one in psutil.Process().children() if "mock_broker" in " ".join(one.cmdline())]
        consumer = make_consumer(load_settings(services.settings()).kafka, "g")
        consumer.subscribe(["frames.civic"])
        consumer.poll(1.0)  # it is asked within this time, and would answer 3 s after that
        broker.suspend()
        time.sleep(SESSION_TIMEOUT_MS / 1000 + 2)
        broker.resume()
        deadline = time.monotonic() + 90
        while not consumer.assignment():
            assert time.monotonic() < deadline
            consumer.poll(0.1)
        consumer.close()


def test_rows_are_there_the_next_time(folder: Path) -> None:
    with Embedded(folder) as services:
        _execute(services.settings()["SIGHTLINE_DATABASE_URL"], "CREATE TABLE kept (number int)")
    with Embedded(folder) as services:
        _execute(services.settings()["SIGHTLINE_DATABASE_URL"], "INSERT INTO kept VALUES (1)")


def test_nothing_outlives_a_killed_parent(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.run([sys.executable, "-c", KILLED, str(folder)], env=environment, check=False, timeout=60)
    assert parent.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while _processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _processes_of(folder) == []


def test_an_error_in_the_block_ends_everything(folder: Path) -> None:
    with pytest.raises(KeyError), Embedded(folder):
        raise KeyError
    assert _processes_of(folder) == []


def test_a_service_that_does_not_start_leaves_nothing_running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_START_TIMEOUT_S", 10.0)
    (folder / "postgres").write_text("a file where the data folder should be")
    with pytest.raises(OutageError) as failed:
        Embedded(folder).start()
    assert failed.value.service == "postgres"
    assert _processes_of(folder) == []
