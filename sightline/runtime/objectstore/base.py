"""What an object store can do, and how it fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from schemas.errors import Code, InputError, SightlineError, Stage

SERVICE: Final = "objects"
MAX_KEY_BYTES = 1024  # S3's own limit


class ObjectNotFoundError(SightlineError):
    """There is no object of this name."""


class ObjectTooLargeError(SightlineError):
    """The object has more bytes than the reader allows."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object."""

    key: str
    size_bytes: int


class ObjectStore(Protocol):
    """Objects under one address. Safe to use from several threads. Every method blocks, for bounded time.

    All raise OutageError when the store is away, SetupError when it lacks the bucket or refuses us, UnclearError
    when it cannot be told, and InputError (`object_rejected`) for a name or size that is refused.
    """

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Write an object whole, replacing what is there; it is durable when this returns."""
        ...

    def get(self, key: str, max_bytes: int) -> bytes:
        """Read an object. Raises ObjectNotFoundError, or ObjectTooLargeError without reading much beyond the limit."""
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None when there is none."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with `prefix`, in no promised order."""
        ...

    def address(self, key: str) -> str:
        """Return the object's address, for `ce_dataref` and the like."""
        ...


def check_key(key: str) -> str:
    """Return a key that is relative, printable and not too long; raises InputError (`object_rejected`)."""
    parts = key.split("/")
    if not key.isprintable() or any(part in {"", ".", ".."} for part in parts):
        raise InputError(Code.OBJECT_REJECTED, Stage.SINK_OBJECTS, "the object's name is not a plain relative path")
    if len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise InputError(Code.OBJECT_REJECTED, Stage.SINK_OBJECTS, f"the object's name is over {MAX_KEY_BYTES} bytes")
    return key
