"""PostgreSQL and S3 on a disk of some megabytes, which can be filled and freed while they run.

The disk is a tmpfs that only the server sees: it is mounted in a mount namespace of the server's own, which root may
make, and anybody where the system lets users make namespaces of theirs.
"""

import contextlib
import errno
import os
import shutil
import subprocess
from pathlib import Path

import psycopg2

from infra.local.postgres import Postgres
from infra.local.s3 import S3
from schemas.errors import ConfigurationError

SIZE_MB = 128
_CHUNK = b"\0" * 65_536
_MOUNT = f'mount -t tmpfs -o size={SIZE_MB}m,mode=0777 none "$1" && shift && exec "$@"'


def on_small_disk(place: Path, command: list[str], user: str | None) -> list[str]:
    """Return a command that mounts the disk at `place` and becomes `command`, as `user` where one is named.

    Raises ConfigurationError where this machine makes no namespaces.
    """
    root = os.getuid() == 0
    unshare = ["unshare", "--mount"] if root else ["unshare", "--map-root-user", "--mount"]
    tried = subprocess.run(
        [*unshare, "sh", "-c", _MOUNT, "sh", str(place), "true"], capture_output=True, text=True, check=False
    ) if shutil.which("unshare") else None  # fmt: skip
    if tried is None or tried.returncode != 0:
        said = "no unshare" if tried is None else tried.stderr.strip()
        raise ConfigurationError("mount namespaces", f"this machine makes none, and a full disk needs one: {said}")
    as_user = ["setpriv", "--pdeathsig", "KILL"]
    if root and user is not None:
        as_user += ["--reuid", user, "--regid", user, "--init-groups"]
    elif not root:
        # A server that refuses to run as root is not to think that it does.
        as_user = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}", "--", *as_user]
    return [*unshare, "sh", "-c", _MOUNT, "sh", str(place), *as_user, "--", *command]


class SmallDisk:
    """The disk of a server that runs as process `pid`, mounted at `place` in its namespace."""

    def __init__(self, pid: int, place: Path) -> None:
        self._place = place
        self._root = Path(f"/proc/{pid}/root") / place.relative_to("/")
        self._ballast = self._root / "ballast"

    def make_folder(self, name: str, user: str | None) -> Path:
        """Make a folder on the disk, a user's where one is named, and return where the server sees it."""
        (self._root / name).mkdir()
        if user is not None:
            shutil.chown(self._root / name, user)
        return self._place / name

    def fill(self) -> None:
        """Take all that is free."""
        with self._ballast.open("ab", buffering=0) as ballast, contextlib.suppress(_FullError):
            while True:
                _write(ballast.fileno())

    def free(self) -> None:
        self._ballast.unlink()


class _FullError(Exception):
    pass


def _write(file: int) -> None:
    try:
        os.write(file, _CHUNK)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _FullError from error
        raise


class SmallPostgres(Postgres):
    """PostgreSQL whose tables lie on a small disk; its log and its own catalogue do not."""

    @property
    def place(self) -> Path:
        return self.folder / "small"

    def command(self) -> list[str]:
        self.place.mkdir(exist_ok=True)
        return on_small_disk(self.place, super().command(), super().user())

    def user(self) -> str | None:
        """Ours: the disk is mounted before the server becomes another user."""
        return None

    def settle(self) -> None:
        super().settle()
        connection = psycopg2.connect(self._address("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                tables = self.disk().make_folder("tables", super().user())
                cursor.execute(f"CREATE TABLESPACE small LOCATION '{tables}'")
                cursor.execute("ALTER SYSTEM SET default_tablespace = 'small'")
                cursor.execute("SELECT pg_reload_conf()")
        finally:
            connection.close()

    def disk(self) -> SmallDisk:
        assert self.process is not None
        return SmallDisk(self.process.pid, self.place)


class SmallS3(S3):
    """An S3 server whose objects lie on a small disk."""

    def command(self) -> list[str]:
        return on_small_disk(self.folder / "data", super().command(), None)

    def disk(self) -> SmallDisk:
        assert self.process is not None
        return SmallDisk(self.process.pid, self.folder / "data")
