"""Claim checks: pictures that lie in an object store. Only addresses under an allowed prefix are fetched."""

from collections.abc import Mapping

from schemas.errors import Code, InputError, Stage, UnclearError
from sightline.runtime.objectstore import ObjectNotFoundError, ObjectStore, ObjectTooLargeError, open_store
from sightline.runtime.settings import Settings

CLAIMS_PREFIX = "claims/"
_SCHEMES = ("s3://", "file:///")
_TRIES = 3


class Claims:
    """Fetches claimed objects. `stores` maps each allowed address prefix (with its last `/`) to its store."""

    def __init__(self, stores: Mapping[str, ObjectStore]) -> None:
        # The longest prefix first, so that the most specific store serves an address.
        self._stores = sorted(stores.items(), key=lambda item: len(item[0]), reverse=True)

    def fetch(self, address: str, max_bytes: int) -> bytes:
        """Return the object's bytes; blocks for the store's time limit at most.

        Raises InputError of stage `claim`, or OutageError when the store is away or refuses us.
        """
        store, key = self._locate(address)
        for _ in range(_TRIES):
            try:
                data = store.get(key, max_bytes=max_bytes)
            except ObjectNotFoundError:
                raise InputError(Code.CLAIM_NOT_FOUND, Stage.CLAIM, "the claimed object does not exist") from None
            except ObjectTooLargeError:
                reason = f"the claimed object has more than {max_bytes} bytes"
                raise InputError(Code.CLAIM_TOO_LARGE, Stage.CLAIM, reason) from None
            except InputError:
                raise InputError(Code.CLAIM_INVALID, Stage.CLAIM, "the store refuses this name") from None
            except UnclearError:
                continue
            if not data:
                raise InputError(Code.VALUE_EMPTY, Stage.CLAIM, "the claimed object is empty")
            return data
        raise InputError(Code.CLAIM_UNREADABLE, Stage.CLAIM, f"the object could not be read in {_TRIES} tries")

    def _locate(self, address: str) -> tuple[ObjectStore, str]:
        if not address.startswith(_SCHEMES):
            raise InputError(Code.CLAIM_INVALID, Stage.CLAIM, "ce_dataref is neither an s3:// nor a file:// address")
        if any(part in {"", ".", ".."} for part in address.split("/")[3:]):
            raise InputError(Code.CLAIM_INVALID, Stage.CLAIM, "ce_dataref has an empty or relative part")
        for prefix, store in self._stores:
            if address.startswith(prefix):
                return store, address.removeprefix(prefix)
        raise InputError(Code.CLAIM_NOT_ALLOWED, Stage.CLAIM, "ce_dataref lies outside the allowed prefixes")


def open_claims(settings: Settings) -> Claims:
    """Open a store for each allowed prefix; the `claims/` prefix of our own object store is one of them."""
    prefixes = list(settings.claims.allowed)
    if settings.objects.url is not None:
        prefixes.append(f"{settings.objects.url.rstrip('/')}/{CLAIMS_PREFIX}")
    prefixes = [f"{prefix.rstrip('/')}/" for prefix in prefixes]
    return Claims({prefix: open_store(prefix, settings.s3, timeout_s=settings.claims.timeout_s) for prefix in prefixes})
