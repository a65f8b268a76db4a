"""The documents that say what a replay wants otherwise: stored by digest, read back only as what they were."""

from collections.abc import Callable
from typing import Final, Protocol

from pydantic import ValidationError

from schemas.errors import Code, InputError, OutageError, Stage, UnclearError
from schemas.replay import Overrides, OverridesReference, overrides_digest
from sightline.runtime.objectstore import ObjectNotFoundError, ObjectStore, ObjectTooLargeError

PREFIX: Final = "replays/overrides/"
TABLE_ADDRESS: Final = "postgres:replay_overrides/"
_MAX_BYTES: Final = 1024 * 1024
_TRIES: Final = 3


class DocumentTable(Protocol):
    """Where documents lie when there is no object store."""

    def put_document(self, digest: str, document: bytes) -> None:
        """Store a document; one that is there already stays. Blocks. Raises OutageError."""
        ...

    def get_document(self, digest: str) -> bytes | None:
        """Return a document, or None. Blocks. Raises OutageError."""
        ...


class Documents:
    """Documents in `store`, or in the table where there is none. `table` is opened when it is first needed."""

    def __init__(self, store: ObjectStore | None, table: Callable[[], DocumentTable]) -> None:
        self._store = store
        self._table = table

    def put(self, overrides: Overrides) -> OverridesReference:
        """Store a document and return where; the same one again changes nothing. Blocks. Raises OutageError."""
        document = overrides.document()
        digest = overrides_digest(document)
        if self._store is None:
            self._table().put_document(digest, document)
            return OverridesReference(digest, f"{TABLE_ADDRESS}{digest}")
        key = f"{PREFIX}{digest}.json"
        self._store.put(key, document, "application/json")
        return OverridesReference(digest, self._store.address(key))

    def get(self, reference: OverridesReference) -> Overrides:
        """Read a document. Blocks. Raises OutageError, and InputError (`overrides_invalid`) for one that is not there.

        Only places of our own are read: the address came with a message.
        """
        document = self._read(reference)
        if document is None:
            raise invalid("the overrides are gone")
        if overrides_digest(document) != reference.digest:
            raise invalid("the overrides are not those that the replay was started with")
        try:
            return Overrides.model_validate_json(document)
        except ValidationError:
            raise invalid("the overrides are not those of this release or an earlier one") from None

    def _read(self, reference: OverridesReference) -> bytes | None:
        if reference.address == f"{TABLE_ADDRESS}{reference.digest}":
            return self._table().get_document(reference.digest)
        key = f"{PREFIX}{reference.digest}.json"
        if self._store is None or reference.address != self._store.address(key):
            raise invalid("the overrides lie elsewhere than in our own store")
        return _get(self._store, key)


def invalid(reason: str) -> InputError:
    """Make the error of a frame whose replay wants what cannot be had."""
    return InputError(Code.OVERRIDES_INVALID, Stage.FRAME, reason)


def _get(store: ObjectStore, key: str) -> bytes | None:
    for _ in range(_TRIES):
        try:
            return store.get(key, _MAX_BYTES)
        except ObjectNotFoundError:
            return None
        except ObjectTooLargeError:
            raise invalid("the overrides are larger than they can be") from None
        except UnclearError:
            continue
    raise OutageError("objects", f"the overrides could not be read in {_TRIES} tries")
