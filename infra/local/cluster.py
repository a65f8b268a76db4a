"""Three Kafka brokers on one machine, each of which is a controller too: one may go, and nothing stops."""

from pathlib import Path

from infra.local.kafka import Kafka, Membership, new_cluster_id
from infra.local.process import free_port

BROKERS = 3


class KafkaCluster:
    """`brokers`, and `bootstrap` with the addresses of all. Topics get three copies, of which two must be in sync."""

    def __init__(self, folder: Path, *, die_with_us: bool = False) -> None:
        controller_ports = [free_port() for _ in range(BROKERS)]
        cluster_id = new_cluster_id()
        self.brokers = [
            Kafka(
                folder / f"kafka-{number}",
                free_port(),
                controller_port=controller_port,
                member=Membership(number, controller_ports, cluster_id),
                die_with_us=die_with_us,
            )
            for number, controller_port in enumerate(controller_ports, 1)
        ]

    @property
    def bootstrap(self) -> str:
        """The addresses for `bootstrap.servers`."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> None:
        """Start all that do not run, at the same time. Raises as LocalService.start does."""
        started = [broker for broker in self.brokers if not broker.running]
        for broker in started:
            broker.launch()
        for broker in started:
            broker.wait_until_up()

    def stop(self) -> None:
        """End all of them. They are killed: without the others, the last would wait to hand over."""
        for broker in self.brokers:
            broker.kill()
