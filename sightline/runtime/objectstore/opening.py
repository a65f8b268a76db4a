"""From an address to its store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from schemas.errors import ConfigurationError
from sightline.runtime.objectstore.base import ObjectStore
from sightline.runtime.objectstore.folder import FolderStore
from sightline.runtime.objectstore.s3 import S3Store
from sightline.runtime.settings import S3Settings

_AWS = "https://s3.amazonaws.com"
_DEFAULT_REGION = "us-east-1"
REQUEST_TIMEOUT_S = 10.0


def open_store(url: str, s3: S3Settings, *, timeout_s: float = REQUEST_TIMEOUT_S) -> ObjectStore:
    """Open `file:///folder` or `s3://bucket/prefix`; nothing is contacted yet. Raises ConfigurationError."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme != "s3" or not parts.netloc:
        raise ConfigurationError("SIGHTLINE_OBJECTS_URL", f"{url!r} is neither file:///folder nor s3://bucket/prefix")
    endpoint_url = s3.endpoint_url or _AWS
    endpoint = urlsplit(endpoint_url)
    if endpoint.scheme not in {"http", "https"} or not endpoint.netloc:
        raise ConfigurationError("SIGHTLINE_S3_ENDPOINT_URL", f"{endpoint_url!r} is not http://host:port")
    prefix = parts.path.strip("/")
    return S3Store(
        parts.netloc,
        f"{prefix}/" if prefix else "",
        endpoint_url=endpoint_url,
        access_key=s3.access_key_id,
        secret_key=None if s3.secret_access_key is None else s3.secret_access_key.get_secret_value(),
        region=s3.region or _DEFAULT_REGION,
        timeout_s=timeout_s,
    )
