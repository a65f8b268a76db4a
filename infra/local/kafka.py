"""Apache Kafka from its jars: one broker that is its own controller."""

import base64
import string
import subprocess
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local.process import free_port
from infra.local.service import LocalService
from infra.local.tools import KAFKA_FOLDER, java, kafka_jars
from schemas.errors import OutageError

# Compiled once and collected serially: a broker this small starts sooner and leaves the cores to the tests.
_JVM = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class Kafka(LocalService):
    """A real broker. `bootstrap` is its address; topics are never made by themselves."""

    name = "kafka"
    start_timeout_s = 90.0

    def __init__(
        self, folder: Path, port: int, *, controller_port: int | None = None, die_with_us: bool = False
    ) -> None:
        super().__init__(folder, port, die_with_us=die_with_us)
        self.controller_port = controller_port or free_port()

    @property
    def bootstrap(self) -> str:
        """The address for `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def prepare(self) -> None:
        """Write the configuration, and format the storage the first time."""
        data = self.folder / "data"
        template = string.Template((KAFKA_FOLDER / "server.properties").read_text())
        self._properties.write_text(
            template.substitute(port=self.port, controller_port=self.controller_port, log_dir=data)
        )
        if not (data / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        """Return the broker's command line."""
        return [*self._java(), "kafka.Kafka", str(self._properties)]

    def answers(self) -> bool:
        """Whether the broker stands in its own metadata, which it does once the controller lets it in."""
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            return bool(client.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def settle(self) -> None:
        """Nothing to do: topics are made by `sightline topics apply`."""

    def _java(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={KAFKA_FOLDER / 'log4j2.properties'}"
        return [java(), *_JVM, logging, "-cp", f"{kafka_jars()}/*"]

    def _format(self) -> None:
        # The leading zero byte keeps the id from starting with a dash, which the tool would take for an option.
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        tool = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties)]
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OutageError(self.name, f"storage could not be formatted: {done.stdout[-800:]}{done.stderr[-800:]}")
