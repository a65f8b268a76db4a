"""The object store: one probe object written, read and deleted."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError, SetupError, SightlineError
from sightline.cli.doctor.clocks import check_clock
from sightline.cli.doctor.finding import Finding, away, fail, ok, warn
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings

_CHECK = "objects"
_TIMEOUT_S = 5.0


def check_objects(settings: Settings) -> Iterator[Finding]:
    """Look at the object store, if one is set. Never raises for what it finds."""
    if settings.objects.url is None:
        yield warn(_CHECK, "SIGHTLINE_OBJECTS_URL is not set", "`sightline sink objects` and large frames need it")
        return
    try:
        yield from _probe(settings)
    except ConfigurationError as error:
        yield fail(_CHECK, str(error), "correct the setting")
    except SetupError as error:
        yield fail(_CHECK, error.reason, "is the bucket there, and may these keys write, read and delete in it?")
    except SightlineError as error:
        yield away(_CHECK, str(error), "is it running, and is the address right?")
    endpoint = settings.s3.endpoint_url
    if endpoint is not None and settings.objects.url.startswith("s3://"):
        yield from _check_clock(endpoint)


def _probe(settings: Settings) -> Iterator[Finding]:
    store = open_store(settings.objects_url(), settings.s3)
    key = f"doctor/{uuid.uuid4()}"
    content = key.encode()
    store.put(key, content, "text/plain")
    found = store.get(key, max_bytes=len(content))
    store.delete(key)
    if found == content:
        yield ok(_CHECK, "a probe was written, read and deleted")
    else:
        yield fail(_CHECK, "a probe was read otherwise than it was written", "something changes objects on their way")


def _check_clock(endpoint: str) -> Iterator[Finding]:
    """Read the server's time from any answer; S3 refuses requests whose time is 15 minutes off."""
    address = urlsplit(endpoint)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        before = datetime.now(UTC).replace(microsecond=0)
        connection.request("HEAD", "/")
        date = connection.getresponse().headers["Date"]
        if date is not None:
            yield check_clock(_CHECK, parsedate_to_datetime(date), before, datetime.now(UTC))
    except (OSError, HTTPException, ValueError):
        # The probe has said already whether the store can be reached.
        return
    finally:
        connection.close()
