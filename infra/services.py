"""Start and stop Kafka, PostgreSQL and an S3 server on this machine: `python infra/services.py up`.

`up` starts what does not run yet, writes the settings that point there to `DIR/env`, and prints them. `down` stops
exactly the processes that `up` wrote down; data stays in DIR until the folder is deleted. `fetch` only fetches and
builds what they need. Exit codes as sightline's own: 0 done, 2 a tool is missing, 3 a service does not come up.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run as a script, only this file's own folder is on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from infra.local.kafka import Kafka
from infra.local.postgres import Postgres
from infra.local.process import ProcessId, free_port
from infra.local.s3 import S3
from infra.local.service import LocalService
from infra.local.tools import fetch_all
from schemas.errors import ConfigurationError, OutageError


@dataclass(frozen=True)
class Services:
    """The three services of one folder."""

    folder: Path
    kafka: Kafka
    postgres: Postgres
    s3: S3

    @classmethod
    def load(cls, folder: Path) -> "Services":
        """Take the ports and processes of an earlier `up` from the folder; new ports otherwise."""
        state = _read_state(folder)
        ports: dict[str, int] = state.get("ports", {})

        def port(name: str) -> int:
            return ports.get(name) or free_port()

        kafka = Kafka(folder / "kafka", port("kafka"), controller_port=port("kafka_controller"))
        services = cls(folder, kafka, Postgres(folder / "postgres", port("postgres")), S3(folder / "s3", port("s3")))
        for service in services.all():
            if recorded := state.get("processes", {}).get(service.name):
                service.attach(ProcessId(**recorded))
        return services

    def all(self) -> Sequence[LocalService]:
        """Return them in the order of starting."""
        return (self.s3, self.postgres, self.kafka)

    def environment(self) -> dict[str, str]:
        """Return the settings that point to these services."""
        return {
            "SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "SIGHTLINE_DATABASE_URL": self.postgres.url,
            "SIGHTLINE_OBJECTS_URL": f"s3://{self.s3.bucket}",
            "SIGHTLINE_S3_ENDPOINT_URL": self.s3.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
            "AWS_REGION": self.s3.region,
        }

    def save(self) -> None:
        """Write down ports and processes, for the next `up` and for `down`."""
        ports = {service.name: service.port for service in self.all()}
        ports["kafka_controller"] = self.kafka.controller_port
        processes = {s.name: asdict(s.process) for s in self.all() if s.process is not None and s.running}
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "state.json.partial"
        partial.write_text(json.dumps({"ports": ports, "processes": processes}, indent=2))
        partial.replace(self.folder / "state.json")


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    try:
        state = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigurationError(str(path), "is not JSON; delete it if nothing of its folder runs") from error
    return dict(state)


def up(services: Services) -> int:
    """Start what is not running, and print the settings."""
    for service in services.all():
        try:
            service.start()
        finally:
            # Also when a later service fails: what runs must stay known, or `down` could not stop it.
            services.save()
    lines = [f"export {name}={value}" for name, value in services.environment().items()]
    (services.folder / "env").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


def down(services: Services) -> int:
    """Stop what `up` started, last started first."""
    for service in reversed(services.all()):
        service.stop()
    if services.folder.exists():
        services.save()
    return 0


def status(services: Services) -> int:
    """Print one line a service; 3 when one of them is not running."""
    for service in services.all():
        state = f"running, process {service.process.pid}" if service.running and service.process else "stopped"
        print(f"{service.name:10} 127.0.0.1:{service.port}  {state}")
    return 0 if all(service.running for service in services.all()) else 3


def fetch(_services: Services) -> int:
    """Fetch Kafka and build the S3 server and the proxy of the chaos tests, or say what is missing for that."""
    fetch_all()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; see the module."""
    parser = argparse.ArgumentParser(prog="services", description="Kafka, PostgreSQL and S3 on this machine.")
    commands = {"up": up, "down": down, "status": status, "fetch": fetch}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--dir", type=Path, default=Path(".services"), help="data and logs (default: .services)")
    arguments = parser.parse_args(argv)
    try:
        return commands[arguments.command](Services.load(arguments.dir.resolve()))
    except ConfigurationError as error:
        print(f"services: {error}", file=sys.stderr)
        return 2
    except OutageError as error:
        print(f"services: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
