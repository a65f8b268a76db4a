"""What every walker returns, and the two ways in which a structure can be wrong."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.errors import Code, InputError, Stage

Admit = Callable[[int, int], None]
"""Called with width and height in pixels; raises InputError where they are more than is allowed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a container: its kind (marker or four-letter name), and where it starts and ends."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Structure:
    """A whole container. Width and height are those of the stored pixels, in pixels.

    `exif` is the EXIF block in TIFF form (`II*` or `MM*` first), empty where there is none. It may be damaged.
    `turned_by_decoder`: the container's own rotation swaps width and height, and the decoder applies it.
    `coded_pixels`: how many the largest coded picture within has, where the container can hide that.
    """

    width: int
    height: int
    exif: bytes
    parts: tuple[Part, ...]
    turned_by_decoder: bool = False
    coded_pixels: int = 0


def truncated(reason: str) -> InputError:
    """Return the error for a picture that ends before its format says it does."""
    return InputError(Code.PICTURE_TRUNCATED, Stage.INSPECT, reason)


def corrupt(reason: str) -> InputError:
    """Return the error for a picture whose structure is damaged or beyond what the decoders can do."""
    return InputError(Code.PICTURE_CORRUPT, Stage.INSPECT, reason)
