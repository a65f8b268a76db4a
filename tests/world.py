"""One pipeline of its own on the real services: its topics, database, objects, and the processes that a test starts."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import OFFSET_END, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from sqlalchemy import Engine, text

from schemas import topics
from schemas.headers import Headers
from sightline.runtime.database import database_engine
from sightline.runtime.objectstore import ObjectStore, open_store
from sightline.runtime.settings import S3Settings

SIGHTLINE = str(Path(sys.executable).with_name("sightline"))
ROOT = Path(__file__).parents[1]
BUILT_IN = ROOT / "processors/pipelines"
DEMO_MODELS = ROOT / "demo_models"


def peak_rss_bytes(pid: int) -> int:
    """Return the most memory that a process has had resident; 0 when it has ended and nobody has asked for its status.

    What the kernel tells whoever waits for it may be the peak of the process that started it.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return 0 if found is None else int(found[1]) * 1024


def wait_for(condition: Callable[[], Any], timeout_s: float, what: str, every_s: float = 0.05) -> Any:
    """Return the condition's first true value, looked for `every_s`; fail with `what` when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(every_s)


@dataclass(frozen=True, slots=True)
class Published:
    """A frame that the broker acknowledged."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def origin(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


class Running:
    """A sightline process that a test started."""

    def __init__(self, arguments: list[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._log_file = log.open("ab")
        self.process = subprocess.Popen(
            [SIGHTLINE, *arguments],
            env=dict(env),
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            stdin=subprocess.DEVNULL,
        )
        self._port: int | None = None

    @property
    def port(self) -> int:
        if self._port is None:
            assert self.process.stdout is not None
            line = self.process.stdout.readline().decode()
            found = re.search(r":(\d+)", line)
            assert found is not None, f"no port in {line!r}; log:\n{self.log.read_text()[-3000:]}"
            self._port = int(found[1])
        return self._port

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self) -> bool:
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:  # a worker's child has died, and the next one is on its way
            return False

    def wait_ready(self, timeout_s: float = 30) -> "Running":
        wait_for(self.ready, timeout_s, f"ready: {self.process.args!r}")
        return self

    def metric(self, name: str, **labels: str) -> float:
        """Sum the samples of a metric whose labels match."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            wanted = line.startswith((f"{name}{{", f"{name} "))
            if wanted and all(f'{label}="{value}"' in line for label, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    @property
    def working_pid(self) -> int:
        """The process that does the work: a worker has a supervisor before it, which `process` is."""
        children = psutil.Process(self.process.pid).children()
        return children[0].pid if children else self.process.pid

    def rss_bytes(self) -> int:
        """Return the most memory that the process has had resident, a worker's supervisor included."""
        peaks = [peak_rss_bytes(pid) for pid in {self.process.pid, self.working_pid}]
        assert all(peaks), peaks
        return sum(peaks)

    def freeze(self) -> int:
        """Stop the process that works as SIGSTOP does, and return its id; a worker's supervisor passes SIGCONT on."""
        pid = self.working_pid
        os.kill(pid, signal.SIGSTOP)
        return pid

    def kill(self) -> None:
        """End the process as `kill -9` does; a worker's goes with its supervisor."""
        self.process.kill()
        self._reap()

    def terminate(self, within_s: float = 10) -> int:
        """Ask the process to end, and return its exit code; fail when it takes longer than allowed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within_s} s; log:\n{self.log.read_text()[-3000:]}") from None
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self._reap()
        return self.process.returncode

    def _reap(self) -> None:
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log_file.close()


SOURCE_AS_KEY = b"\0source"


class FrameProducer:
    """Publishes frames and remembers what the broker acknowledged, and where."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.published: list[Published] = []
        self._topic = topic
        self._failures: list[KafkaError] = []
        self._producer = Producer({
            "bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True,
            "message.max.bytes": 20_000_000, "queue.buffering.max.kbytes": 100_000,
            # That a broker is away is known to those who stopped it; a failure to deliver is raised all the same.
            "log_level": 2,
        })  # fmt: skip

    def send(self, value: bytes | None, headers: Headers, key: bytes | None = SOURCE_AS_KEY) -> None:
        """Publish one frame; the key is `ce_source` unless told. Blocks while the queue is full."""
        if key == SOURCE_AS_KEY:
            key = next((content for name, content in headers if name == "ce_source"), None)

        def on_delivery(error: KafkaError | None, message: KafkaMessage) -> None:
            if error is not None:
                self._failures.append(error)
                return
            place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
            self.published.append(Published(*place, message.timestamp()[1], key, value, headers))

        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=list(headers), on_delivery=on_delivery)
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        self._producer.poll(0)

    def finish(self) -> None:
        """Wait until all is acknowledged."""
        assert self._producer.flush(120) == 0
        assert not self._failures, self._failures


@dataclass
class World:
    """See the module. `env` is what processes are started with."""

    pipeline: str
    env: dict[str, str]
    folder: Path
    engine: Engine
    store: ObjectStore
    bootstrap: str
    processes: list[Running] = field(default_factory=list)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Running:
        """Start `sightline …` with a health page on a free port."""
        log = self.folder / f"{len(self.processes)}-{arguments[0]}.log"
        running = Running([*arguments, "--http-port", "0"], {**self.env, **(env or {})}, log)
        self.processes.append(running)
        return running

    def start_worker(self, env: Mapping[str, str] | None = None) -> Running:
        return self.start("worker", self.pipeline, env=env)

    def start_sink(self, kind: str, env: Mapping[str, str] | None = None) -> Running:
        return self.start("sink", kind, self.pipeline, env=env)

    def start_all(self) -> list[Running]:
        started = [self.start_worker(), self.start_sink("postgres"), self.start_sink("objects")]
        return [running.wait_ready() for running in started]

    def run(self, *arguments: str, expect: int = 0, stdin: bytes | None = None) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            [SIGHTLINE, *arguments], env=self.env, input=stdin, capture_output=True, timeout=120, check=False
        )
        assert done.returncode == expect, (done.returncode, done.stdout.decode(), done.stderr.decode())
        return done.stdout.decode()

    def publish(
        self, frames: Iterable[tuple[bytes | None, Headers]], key: bytes | None = SOURCE_AS_KEY
    ) -> list[Published]:
        """Publish frames and wait until all are acknowledged."""
        with self.producer() as producer:
            for value, headers in frames:
                producer.send(value, headers, key)
        return producer.published

    @contextmanager
    def producer(self) -> Iterator["FrameProducer"]:
        """Yield a producer of frames; at the end all must be acknowledged."""
        producer = FrameProducer(self.bootstrap, topics.frames(self.pipeline))
        yield producer
        producer.finish()

    def create_topic(self, name: str, config: Mapping[str, str]) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.create_topics([NewTopic(name, 1, 1, config=dict(config))]).values():
            done.result(30)

    def set_topic(self, name: str, setting: str, value: str) -> None:
        """Change one setting of a topic."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(30)

    def read(self, topic: str) -> list[KafkaMessage]:
        """Read a topic from its beginning to its present end."""
        return read_topic(self.bootstrap, topic)

    def results(self) -> list[dict[str, Any]]:
        return [json.loads(message.value() or b"") for message in self.read(topics.results(self.pipeline))]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts of everybody: all pipelines share their topic. Tests also write there what is no alert."""
        found = []
        for message in self.read(topics.ALERTS):
            try:
                found.append(json.loads(message.value() or b""))
            except ValueError:
                continue
        return [alert for alert in found if isinstance(alert, dict) and "rule" in alert]

    def dead_letters(self) -> list[KafkaMessage]:
        return self.read(topics.dead_letters(self.pipeline))

    def sql(self, query: str, **parameters: Any) -> list[Any]:
        """Run a query; `:pipeline` is this world's."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(query), {"pipeline": self.pipeline, **parameters}))

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def has_role(self, name: str) -> bool:
        return bool(self.sql("SELECT 1 FROM pg_roles WHERE rolname = :name", name=name))

    def database_url(self, user: str, password: str) -> str:
        """Return this world's database as another user sees it."""
        return self.engine.url.set(username=user, password=password).render_as_string(hide_password=False)

    def partitions(self, topic: str) -> list[int]:
        return list(
            AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(topic, timeout=10).topics[topic].partitions
        )

    def count_rows(self) -> tuple[int, int]:
        """Count rows of results and of dead letters."""
        return (
            self.sql("SELECT count(*) FROM results WHERE pipeline = :pipeline")[0][0],
            self.sql("SELECT count(*) FROM dead_letters WHERE pipeline = :pipeline")[0][0],
        )

    def wait_for_rows(self, count: int, timeout_s: float = 120) -> None:
        """Wait until results and dead letters together have `count` rows."""
        wait_for(lambda: sum(self.count_rows()) >= count, timeout_s, f"{count} rows, {self.pipeline}")

    def wait_until_settled(self, timeout_s: float = 120) -> None:
        """Wait until worker and sinks have committed everything that there is."""
        names = {kind: f"{kind}.{self.pipeline}" for kind in ("frames", "results", "artifacts", "deadletters")}
        groups = (
            ("worker", ["frames"]),
            ("sink-postgres", ["results", "deadletters"]),
            ("sink-objects", ["artifacts", "deadletters"]),
        )
        for process, kinds in groups:
            self.wait_for_lag(topics.group(process, self.pipeline), [names[kind] for kind in kinds], timeout_s)

    def wait_for_lag(self, group: str, names: Iterable[str], timeout_s: float = 120) -> None:
        """Wait until a group has committed everything on its topics."""
        wait_for(lambda: self.lag(group, names) == 0, timeout_s, f"no lag of {group}")

    def lag(self, group: str, names: Iterable[str]) -> int:
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        try:
            total = 0
            for name in names:
                places = [TopicPartition(name, p) for p in reader.list_topics(name, timeout=10).topics[name].partitions]
                for place in reader.committed(places, timeout=10):
                    low, high = reader.get_watermark_offsets(place, timeout=10)
                    total += high - (place.offset if place.offset >= 0 else low)
            return total
        finally:
            reader.close()

    def count(self, topic: str) -> int:
        """Count the records of a topic that keeps all and has no transactions."""
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "tests.reader"})
        try:
            places = [TopicPartition(topic, partition) for partition in self.partitions(topic)]
            marks = [reader.get_watermark_offsets(place, timeout=10) for place in places]
        finally:
            reader.close()
        return sum(high - low for low, high in marks)

    def empty(self, topic: str) -> None:
        """Delete every record of a topic."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        ends = [TopicPartition(topic, partition, OFFSET_END) for partition in self.partitions(topic)]
        for done in admin.delete_records(ends).values():
            done.result(30)

    def forget_group(self, group: str) -> None:
        """Let a group that has no members begin at the beginning again."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.delete_consumer_groups([group]).values():
            done.result(30)

    def stop(self) -> None:
        for running in self.processes:
            running.kill()
        self.engine.dispose()


def read_topic(bootstrap: str, topic: str) -> list[KafkaMessage]:
    """Read a topic, as far as transactions are committed, from its beginning to its present end."""
    reader = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "tests.reader", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "enable.partition.eof": True, "isolation.level": "read_committed",
        "receive.message.max.bytes": 200_000_000,
    })  # fmt: skip
    try:
        partitions = list(reader.list_topics(topic, timeout=10).topics[topic].partitions)
        reader.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        messages: list[KafkaMessage] = []
        ended: set[int] = set()
        deadline = time.monotonic() + 120
        while len(ended) < len(partitions):
            assert time.monotonic() < deadline, f"{topic} was not read to its end"
            message = reader.poll(1.0)
            error = None if message is None else message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition() if message is not None else 0)  # type: ignore[arg-type]
            elif message is not None and error is None:
                messages.append(message)
        return messages
    finally:
        reader.close()


def define_pipeline(folder: Path, like: str) -> str:
    """Write the definition of the built-in pipeline `like` under a new name, and return that."""
    name = f"{like}-{uuid.uuid4().hex[:8]}"
    definition = (BUILT_IN / like / "pipeline.yaml").read_text(encoding="utf-8")
    definition = definition.replace(f"name: {like}\n", f"name: {name}\n")
    (folder / f"{name}.yaml").write_text(definition, encoding="utf-8")
    return name


@contextmanager
def make_world(
    folder: Path, bootstrap: str, database_url: str, objects_url: str, s3: Mapping[str, str], like: str = "civic"
) -> Iterator[World]:
    """Make topics, database and a prefix in the bucket for one test, with a pipeline name of their own.

    `s3` holds `endpoint_url`, `access_key` and `secret_key`; `like` is the built-in pipeline whose definition is
    taken over.
    """
    pipelines = folder / "pipelines"
    pipelines.mkdir(parents=True)
    pipeline = define_pipeline(pipelines, like)
    database = f"test_{uuid.uuid4().hex[:8]}"
    server = database_engine(database_url, application_name="tests")
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {database}"))
    server.dispose()
    url = re.sub(r"/[^/?]*(\?|$)", rf"/{database}\1", database_url)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SIGHTLINE_", "AWS_"))}
    env = inherited | {
        "SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "SIGHTLINE_DATABASE_URL": url,
        "SIGHTLINE_OBJECTS_URL": f"{objects_url.rstrip('/')}/{pipeline}",
        "SIGHTLINE_S3_ENDPOINT_URL": s3["endpoint_url"],
        "AWS_ACCESS_KEY_ID": s3["access_key"],
        "AWS_SECRET_ACCESS_KEY": s3["secret_key"],
        "AWS_REGION": "us-east-1",
        "SIGHTLINE_PIPELINES_DIR": str(pipelines),
        "SIGHTLINE_MODELS_CACHE": str(folder / "models"),
        "SIGHTLINE_LOG_FORMAT": "json",
    }
    settings = S3Settings(
        endpoint_url=s3["endpoint_url"], access_key_id=s3["access_key"], secret_access_key=s3["secret_key"],
        region="us-east-1",
    )  # fmt: skip
    world = World(
        pipeline,
        env,
        folder,
        database_engine(url, application_name="tests"),
        open_store(env["SIGHTLINE_OBJECTS_URL"], settings),
        bootstrap,
    )
    try:
        # Side by side: a start of the command line takes longest.
        with ThreadPoolExecutor() as both:
            for done in [
                both.submit(world.run, *what) for what in (("topics", "apply", pipeline, "--yes"), ("db", "upgrade"))
            ]:
                done.result()
        yield world
    finally:
        world.stop()
