"""What the client library makes difficult about messages."""

from operator import methodcaller
from typing import Final, cast

from confluent_kafka import Message

from schemas.headers import Headers

# Called this way, the interpreter looks whether the call failed. In a plain `message.headers()` that has run often it
# does not look, and the error comes out of some later line.
_read_headers: Final = methodcaller("headers")


def headers_of(message: Message) -> Headers | None:
    """Return the headers as they are, or None when a name is not UTF-8: the library cannot read any then."""
    try:
        # The stubs allow for what a producer may set; what was fetched is a list of names and bytes.
        return list(cast("Headers", _read_headers(message) or []))
    except SystemError:
        return None
