"""Frames for the scenarios, good and broken, and publishing them while something happens."""

import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from schemas.headers import Headers, last_text
from tests.background import in_background
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.world import Published, World

CAMERAS = 12
VARIED_BROKEN_EVERY, VARIED_DRAWN_EVERY = 20, 10
# Frames of sources that begin so, and no others, cannot succeed.
BROKEN = "/cameras/broken"
# Many frames may show the same picture: each is a frame of its own all the same.
_PICTURES = 4000
_KEPT_EVERY = 3
_picture = functools.lru_cache(maxsize=_PICTURES)(jpeg)

Frame = tuple[bytes | None, Headers]
MakeFrame = Callable[[int], Frame]


def good(number: int) -> Frame:
    """Return a frame that has a result; the pictures of some are kept as objects, which cost most of all."""
    keep: Headers = [] if number % _KEPT_EVERY == 0 else [("ce_keep", b"false")]
    return _picture(number % _PICTURES), [*headers(f"e{number}", f"/cameras/{number % CAMERAS}"), *keep]


def broken(number: int) -> Frame:
    return TEN_WAYS[number % len(TEN_WAYS)].make(number, f"broken{number}", BROKEN)


def mixed(number: int, broken_every: int = 500) -> Frame:
    """Return a frame; one of `broken_every` cannot succeed."""
    return broken(number // broken_every) if number % broken_every == 0 else good(number)


def varied(number: int) -> Frame:
    """Return a frame for a pipeline with models; some cannot succeed, and some ask for an overlay."""
    if number % VARIED_BROKEN_EVERY == 0:
        return broken(number // VARIED_BROKEN_EVERY)
    value, wanted = good(number)
    return value, wanted if number % VARIED_DRAWN_EVERY != 1 else [*wanted, ("ce_overlay", b"true")]


def is_broken(published: Published) -> bool:
    return (last_text(published.headers, "ce_source") or "").startswith(BROKEN)


def publish(world: World, count: int, make: MakeFrame = mixed, start: int = 0) -> list[Published]:
    """Publish `count` frames as fast as they go, and wait for their acknowledgements."""
    return world.publish(make(number) for number in range(start, start + count))


@dataclass
class Flow:
    """What `flowing` has published; it stands after its block."""

    published: list[Published] = field(default_factory=list)


@contextmanager
def flowing(world: World, count: int, seconds: float, make: MakeFrame = mixed, start: int = 0) -> Iterator[Flow]:
    """Publish frames evenly as long as the block lasts: `count` of them in `seconds`, and so many at least.

    Ending the block waits until all are published and acknowledged.
    """
    flow = Flow()

    def run(ended: threading.Event) -> None:
        with world.producer() as producer:
            began = time.monotonic()
            for done in itertools.count():
                if done >= count and ended.is_set():
                    break
                producer.send(*make(start + done))
                ended.wait(max(began + seconds * done / count - time.monotonic(), 0))
        flow.published = producer.published

    with in_background(run):
        yield flow
