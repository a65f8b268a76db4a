"""Objects as files in a folder."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import Code, InputError, OutageError, SetupError, SightlineError, Stage
from sightline.runtime.objectstore.base import SERVICE, ObjectInfo, ObjectNotFoundError, ObjectTooLargeError, check_key

_TEMPORARY = ".part-"
# EEXIST: a folder cannot be made where an object lies.
_REFUSED = {errno.EEXIST, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EINVAL}
_SETUP = {errno.EACCES, errno.EPERM, errno.EROFS}


class FolderStore:
    """A folder, made when it is not there. The media type is not kept: the key's ending says it."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Write beside, sync, rename, sync the folder: a crash leaves the old object or the new one, whole."""
        del media_type
        path = self._path(key)
        with _mapped():
            _make_folders(path.parent)
            handle, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).chmod(0o644)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

    def get(self, key: str, max_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        with _mapped(), self._path(key).open("rb") as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ObjectTooLargeError(f"more than {max_bytes} bytes")
        return data

    def stat(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        path = self._path(key)
        with _mapped():
            return ObjectInfo(key, path.stat().st_size) if path.is_file() else None

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        with _mapped():
            self._path(key).unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        for path in self._root.rglob("*"):
            key = path.relative_to(self._root).as_posix()
            if key.startswith(prefix) and path.is_file() and not path.name.startswith(_TEMPORARY):
                yield ObjectInfo(key, path.stat().st_size)

    def address(self, key: str) -> str:
        """Return a `file:///` address."""
        return f"file://{self._root.as_posix()}/{key}"

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it. Each is synced into the one above, or a crash would lose it with its files."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectNotFoundError("no such object") from error
    except OSError as error:
        raise map_os_error(error) from error


def map_os_error(error: OSError) -> SightlineError:
    """Say what a failure of the file system means: its name is at fault, our rights are, or the disk is."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    if error.errno in _REFUSED:
        return InputError(Code.OBJECT_REJECTED, Stage.SINK_OBJECTS, f"the folder refuses this name: {name}")
    return (SetupError if error.errno in _SETUP else OutageError)(SERVICE, name)
