"""A sample: what the demo's camera sends, and the answer that it must get."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.errors import Code
from schemas.headers import Headers

CAMERAS = ("/city/5/phone-ada", "/city/5/phone-ben", "/city/7/phone-eva", "/city/7/tram-12", "/city/9/post-east")


def is_guest(source: str | None) -> bool:
    """Tell whether a frame is from somebody else, who tries the demo with pictures of their own."""
    return source is not None and source not in CAMERAS


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result that a picture must get: its verdict, and which checks fail."""

    verdict: str
    failed: frozenset[str] = frozenset()


Expected = Verdict | Code


def unaltered(headers: Headers) -> Headers:
    """Leave the headers of a frame as they are."""
    return headers


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture (or what passes for one) as bytes. `alter` breaks the headers where that is the point."""

    name: str
    value: bytes | None
    media_type: str
    expected: Expected
    alter: Callable[[Headers], Headers] = unaltered
