"""What S3 and the file system can answer, and what each answer means to us."""

import errno
from http import HTTPStatus

import pytest
import urllib3
from minio.error import InvalidResponseError, S3Error, ServerError

from schemas.errors import InputError, OutageError, SetupError, SightlineError, UnclearError
from sightline.runtime.objectstore import ObjectNotFoundError
from sightline.runtime.objectstore.folder import map_os_error
from sightline.runtime.objectstore.s3 import map_s3_error


def s3_error(code: str, status: int) -> S3Error:
    return S3Error(urllib3.HTTPResponse(status=status), code, None, None, None, None)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDenied", 403, SetupError),
        ("InvalidAccessKeyId", 403, SetupError),
        ("SignatureDoesNotMatch", 403, SetupError),
        ("NoSuchBucket", 404, SetupError),
        ("NoSuchKey", 404, ObjectNotFoundError),
        ("KeyTooLongError", 400, InputError),
        ("InvalidArgument", 400, InputError),
        ("EntityTooLarge", 400, InputError),
        ("SlowDown", 503, OutageError),
        ("InternalError", 500, OutageError),
        ("NeverHeardOf", 507, OutageError),
        ("NeverHeardOf", 429, OutageError),
        ("NeverHeardOf", 418, UnclearError),
    ],
)
def test_what_a_code_means(code: str, status: int, expected: type[SightlineError]) -> None:
    assert type(map_s3_error(s3_error(code, status))) is expected


@pytest.mark.parametrize(
    "error",
    [
        ServerError("x", HTTPStatus.BAD_GATEWAY),
        InvalidResponseError(HTTPStatus.BAD_GATEWAY, "text/html", "<html>"),
        urllib3.exceptions.ProtocolError("reset"),
        urllib3.exceptions.NewConnectionError(urllib3.connection.HTTPConnection("h"), "refused"),
        ConnectionResetError(),
    ],
)
def test_a_broken_connection_is_an_outage(error: Exception) -> None:
    assert type(map_s3_error(error)) is OutageError


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, OutageError),
        (errno.EIO, OutageError),
        (errno.EACCES, SetupError),
        (errno.EROFS, SetupError),
        (errno.ENAMETOOLONG, InputError),
        (errno.ENOTDIR, InputError),
    ],
)
def test_what_the_file_system_means(number: int, expected: type[SightlineError]) -> None:
    assert type(map_os_error(OSError(number, "x"))) is expected
