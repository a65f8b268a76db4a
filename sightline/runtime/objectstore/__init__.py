"""Object stores: a folder, or any S3. One interface, errors mapped to our tree."""

from sightline.runtime.objectstore.base import (
    ObjectInfo,
    ObjectNotFoundError,
    ObjectStore,
    ObjectTooLargeError,
    check_key,
)
from sightline.runtime.objectstore.opening import open_store

__all__ = ["ObjectInfo", "ObjectNotFoundError", "ObjectStore", "ObjectTooLargeError", "check_key", "open_store"]
