"""A sample: what the demo's camera sends, and the answer that it must get."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import Code
from schemas.headers import Headers

CIVIC: Final = "civic"
_CAMERAS: Final[Mapping[str, tuple[str, ...]]] = {
    CIVIC: ("/city/5/phone-ada", "/city/5/phone-ben", "/city/7/phone-eva", "/city/7/tram-12", "/city/9/post-east"),
    "banana": ("/farm/7/belt-north", "/farm/7/belt-south"),
    "segment": ("/farm/8/drone",),
    "polyp": ("/clinic/2/endoscope-a", "/clinic/2/endoscope-b"),
    "detect": ("/clinic/3/endoscope-c",),
    "gesture": ("/hall/1/door", "/hall/1/desk"),
    "pose": ("/hall/2/stage",),
    "deepfake": ("/press/desk-1", "/press/desk-2"),
    "classify": ("/press/archive",),
}
OUR_CAMERAS: Final = frozenset(camera for cameras in _CAMERAS.values() for camera in cameras)


def camera_of(pipeline: str, number: int) -> str:
    """Return the camera that sends frame `number` of a pipeline: each in turn."""
    cameras = _CAMERAS[pipeline]
    return cameras[number % len(cameras)]


def is_guest(source: str | None) -> bool:
    """Tell whether a frame is from somebody else, who tries the demo with pictures of their own."""
    return source is not None and source not in OUR_CAMERAS


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result that a picture must get: its verdict, and which checks fail. The picture is kept."""

    verdict: str
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """The result that a picture must get where a model sees it; what the model sees in it is not judged.

    `kind` is `skipped` where the gate must stop it. `kept` are the kinds of its artifacts.
    """

    kind: str
    kept: frozenset[str]


Expected = Verdict | Seen | Code


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
    pipeline: str = CIVIC
