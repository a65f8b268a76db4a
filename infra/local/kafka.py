"""Apache Kafka from its jars: one broker that is its own controller, or one of a cluster of such brokers."""

import base64
import string
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local.process import free_port
from infra.local.service import LocalService
from infra.local.tools import KAFKA_FOLDER, java, kafka_jars
from schemas.errors import OutageError

# Compiled once and collected serially: a broker this small starts sooner and leaves the cores to the tests.
_JVM = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def new_cluster_id() -> str:
    """Return an id for the storage of all brokers of a cluster."""
    # The leading zero byte keeps the id from starting with a dash, which the tool would take for an option.
    return base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")


@dataclass(frozen=True)
class Membership:
    """Which broker of a cluster one is: its number from 1, and the controllers' ports of all, itself included."""

    number: int
    controller_ports: Sequence[int]
    cluster_id: str

    def properties(self) -> dict[str, str]:
        """Return what a member has otherwise than a broker that is alone: three copies, of which two must be there."""
        voters = (f"{number}@127.0.0.1:{port}" for number, port in enumerate(self.controller_ports, 1))
        replicated = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
        return {
            "node.id": str(self.number),
            "controller.quorum.voters": ",".join(voters),
            "default.replication.factor": "3",
            "min.insync.replicas": "2",
            **{f"{name}.replication.factor": "3" for name in replicated},
            **{f"{name}.min.isr": "2" for name in replicated[1:]},
        }


class Kafka(LocalService):
    """A real broker. `bootstrap` is its address; topics are never made by themselves.

    With `via_port` it has a second listener, `via_upstream`, for a proxy: whoever comes that way is told to stay on
    127.0.0.1:`via_port`, where the proxy listens. `member` makes it one of a cluster.
    """

    name = "kafka"
    start_timeout_s = 90.0

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        controller_port: int | None = None,
        via_port: int | None = None,
        member: Membership | None = None,
        die_with_us: bool = False,
    ) -> None:
        super().__init__(folder, port, die_with_us=die_with_us)
        self.controller_port = controller_port or free_port()
        self.via_port = via_port
        self.via_upstream = f"127.0.0.1:{free_port()}"
        self._member = member

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
        written = template.substitute(port=self.port, controller_port=self.controller_port, log_dir=data)
        # Of a property that stands twice, the last one counts.
        more = "".join(f"{name}={value}\n" for name, value in self._more_properties().items())
        self._properties.write_text(f"{written}\n{more}")
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

    def _more_properties(self) -> dict[str, str]:
        more = {} if self._member is None else self._member.properties()
        if self.via_port is not None:
            own, controller = f"PLAINTEXT://{self.bootstrap}", f"CONTROLLER://127.0.0.1:{self.controller_port}"
            more["listeners"] = f"{own},PROXIED://{self.via_upstream},{controller}"
            more["advertised.listeners"] = f"{own},PROXIED://127.0.0.1:{self.via_port}"
            more["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT"
        return more

    def _format(self) -> None:
        cluster = new_cluster_id() if self._member is None else self._member.cluster_id
        tool = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties)]
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OutageError(self.name, f"storage could not be formatted: {done.stdout[-800:]}{done.stderr[-800:]}")
