"""Models on this machine, by digest: downloaded once, checked at each use, bounded in bytes, shared by processes.

<folder>/<digest>/          a whole model, put there by a rename
<folder>/<digest>.lock      held shared while the model is read, alone while it is made or removed
<folder>/.part-…            a download on its way, or what a killed process left of one
"""

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from schemas.activation import ModelAddress
from schemas.errors import ModelError, OutageError, SetupError
from sightline.models.local import LocalModel, open_folder

SERVICE: Final = "model cache"
_PART: Final = ".part-"
_LOCK: Final = ".lock"
_DIGEST: Final = re.compile("[0-9a-f]{64}")
# No download takes longer; what is older was left by a process that was killed.
_STALE_S: Final = 24 * 3600.0
_SETUP: Final = {errno.EACCES, errno.EEXIST, errno.ENOTDIR, errno.EPERM, errno.EROFS}
# Another process may make room between our download and our reading, but not again and again.
_TRIES: Final = 3

# Writes a model into an empty folder, checked.
Download = Callable[[ModelAddress, Path], LocalModel]


class ModelCache:
    """See the module. Safe to use from several threads and processes on one machine."""

    def __init__(self, folder: Path, max_bytes: int, download: Download) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._download = download

    @contextmanager
    def use(self, address: ModelAddress) -> Iterator[LocalModel]:
        """Yield a model whose files stay where they are until the block ends; blocks while it is downloaded.

        A copy that is damaged is downloaded again. Raises ModelError and OutageError as the download does, and
        OutageError or SetupError where the folder cannot be written.
        """
        for _ in range(_TRIES):
            with _mapped():
                self._folder.mkdir(parents=True, exist_ok=True)
                lock = os.open(self._folder / f"{address.digest}{_LOCK}", os.O_CREAT | os.O_RDWR, 0o644)
            try:
                with _mapped():
                    fcntl.flock(lock, fcntl.LOCK_SH)
                model = self._open(address)
                if model is not None:
                    yield model
                    return
                with _mapped():
                    fcntl.flock(lock, fcntl.LOCK_EX)
                self._ensure(address)
            finally:
                os.close(lock)
        raise OutageError(SERVICE, f"{address} is removed as soon as it is there")

    def _open(self, address: ModelAddress) -> LocalModel | None:
        """Return the copy that is there and whole, or None."""
        folder = self._folder / address.digest
        if not folder.is_dir():
            return None
        try:
            model = open_folder(folder)
        except ModelError:
            return None
        if model.digest != address.digest:
            return None
        with _mapped():
            # The folder's own time says when the model was used last.
            os.utime(folder)
        return model

    def _ensure(self, address: ModelAddress) -> None:
        """Download a model, alone; another process may have done so while we waited for the lock."""
        if self._open(address) is not None:
            return
        with _mapped():
            part = Path(tempfile.mkdtemp(prefix=_PART, dir=self._folder))
            try:
                self._download(address, part)
                _remove(self._folder / address.digest)
                part.chmod(0o755)
                part.rename(self._folder / address.digest)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            self._make_room(address.digest)

    def _make_room(self, keep: str) -> None:
        """Remove what was used longest ago, until the rest fits; what is in use stays, and so does `keep`."""
        now = time.time()
        folders = sorted((used_at, path) for path in self._folder.iterdir() if (used_at := _used_at(path)) is not None)
        parts = [(used_at, path) for used_at, path in folders if path.name.startswith(_PART)]
        for used_at, part in parts:
            if now - used_at > _STALE_S:
                shutil.rmtree(part, ignore_errors=True)
        models = [path for _, path in folders if _DIGEST.fullmatch(path.name)]
        sizes = {path: _size_bytes(path) for path in models}
        total = sum(sizes.values())
        for path in models:
            if total <= self._max_bytes:
                return
            if path.name != keep and self._remove_unused(path):
                total -= sizes[path]

    def _remove_unused(self, folder: Path) -> bool:
        lock = os.open(self._folder / f"{folder.name}{_LOCK}", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True


def _remove(folder: Path) -> None:
    """Remove a model's folder; a crash in between leaves it under a name that nobody reads."""
    if folder.exists():
        gone = Path(tempfile.mkdtemp(prefix=_PART, dir=folder.parent))
        folder.rename(gone / folder.name)
        shutil.rmtree(gone, ignore_errors=True)


def _used_at(path: Path) -> float | None:
    """Return when a folder was used last, or None for a file, and for what another process removes meanwhile."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime if stat.S_ISDIR(state.st_mode) else None


def _size_bytes(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            # Another process is removing it.
            continue
    return total


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        raise (SetupError if error.errno in _SETUP else OutageError)(SERVICE, name) from error
