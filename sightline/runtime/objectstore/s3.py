"""Objects in any S3, through the `minio` client."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from schemas.errors import Code, InputError, OutageError, SetupError, SightlineError, Stage, UnclearError
from sightline.runtime.objectstore.base import SERVICE, ObjectInfo, ObjectNotFoundError, ObjectTooLargeError, check_key

_CONNECT_TIMEOUT_S = 3.0
_CONNECTIONS = 16
_CHUNK_BYTES = 1024 * 1024
_NOT_FOUND = {"NoSuchKey", "ResourceNotFound", "NoSuchVersion"}
_SETUP = {
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidBucketName",
    "InvalidToken",
    "NoSuchBucket",
    "PermanentRedirect",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "XAdminUserNotFound",  # versitygw's word for InvalidAccessKeyId
}
_REFUSED = {
    "EntityTooLarge",
    "InvalidArgument",
    "InvalidObjectName",
    "InvalidURI",
    "KeyTooLongError",
    "MetadataTooLarge",
}
_OUTAGE = {"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"}


class S3Store:
    """The objects under `prefix` of one bucket. `timeout_s` bounds each request."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint_url: str,
        access_key: str | None,
        secret_key: str | None,
        region: str,
        timeout_s: float,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._timeout_s = timeout_s
        endpoint = urlsplit(endpoint_url)
        # Waiting and trying again is the caller's business, which keeps polling Kafka meanwhile.
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=timeout_s), maxsize=_CONNECTIONS, retries=False
        )
        self._client = Minio(
            endpoint.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=endpoint.scheme == "https",
            region=region,
            http_client=pool,
        )

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """See `ObjectStore.put`."""
        with _mapped():
            self._client.put_object(self._bucket, self._name(key), io.BytesIO(data), len(data), content_type=media_type)

    def get(self, key: str, max_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        deadline = time.monotonic() + self._timeout_s
        with _mapped():
            answer = self._client.get_object(self._bucket, self._name(key))
            try:
                return _read(answer, max_bytes, deadline)
            finally:
                answer.close()
                answer.release_conn()

    def stat(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        try:
            with _mapped():
                found = self._client.stat_object(self._bucket, self._name(key))
        except ObjectNotFoundError:
            self._require_bucket()
            return None
        return ObjectInfo(key, found.size or 0)

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        with _mapped():
            self._client.remove_object(self._bucket, self._name(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        with _mapped():
            for found in self._client.list_objects(self._bucket, prefix=self._prefix + prefix, recursive=True):
                yield ObjectInfo((found.object_name or "").removeprefix(self._prefix), found.size or 0)

    def address(self, key: str) -> str:
        """Return an `s3://` address."""
        return f"s3://{self._bucket}/{self._name(key)}"

    def _require_bucket(self) -> None:
        """Tell a missing bucket from a missing object: the answer to HEAD has no body to say which it was."""
        with _mapped():
            found = self._client.bucket_exists(self._bucket)
        if not found:
            raise SetupError(SERVICE, "NoSuchBucket")

    def _name(self, key: str) -> str:
        return check_key(self._prefix + key)


def _read(answer: urllib3.BaseHTTPResponse, max_bytes: int, deadline: float) -> bytes:
    """Read at most `max_bytes`; a trickle that outlasts the deadline is an outage."""
    if int(answer.headers.get("Content-Length") or 0) > max_bytes:
        raise ObjectTooLargeError(f"more than {max_bytes} bytes")
    chunks: list[bytes] = []
    left = max_bytes + 1
    # read1 returns what has come; read would wait for a whole chunk, and a trickle would outlast any deadline.
    while left > 0 and (chunk := answer.read1(min(_CHUNK_BYTES, left))):
        if time.monotonic() > deadline:
            raise OutageError(SERVICE, "reading took too long")
        chunks.append(chunk)
        left -= len(chunk)
    if left <= 0:
        raise ObjectTooLargeError(f"more than {max_bytes} bytes")
    return b"".join(chunks)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise map_s3_error(error) from error
    except ValueError as error:
        reason = "the client refuses the object's name or media type"
        raise InputError(Code.OBJECT_REJECTED, Stage.SINK_OBJECTS, reason) from error


def map_s3_error(error: Exception) -> SightlineError:
    """Say what a failure of the client or server means; by code and status, never by text."""
    if isinstance(error, S3Error):
        return _by_code(error.code or "", error.response.status)
    if isinstance(error, ServerError):
        return OutageError(SERVICE, f"status {error.status_code}")
    if isinstance(error, InvalidResponseError | urllib3.exceptions.HTTPError | OSError):
        return OutageError(SERVICE, type(error).__name__)
    return UnclearError(f"{SERVICE}: {type(error).__name__}")


def _by_code(code: str, status: int) -> SightlineError:
    if code in _NOT_FOUND:
        return ObjectNotFoundError("no such object")
    if code in _SETUP:
        return SetupError(SERVICE, code)
    if code in _REFUSED:
        return InputError(Code.OBJECT_REJECTED, Stage.SINK_OBJECTS, f"the store refuses this object: {code}")
    if code in _OUTAGE or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return OutageError(SERVICE, code)
    return UnclearError(f"{SERVICE}: {code}")
