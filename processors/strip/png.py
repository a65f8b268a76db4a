"""PNG: keeps the chunks that make the pixels what they are."""

import zlib

from processors.containers.png import SIGNATURE
from processors.containers.structure import Structure
from processors.exif import orientation_only

_KEPT = frozenset({
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS",
    b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"hIST", b"pHYs", b"sPLT",
    b"acTL", b"fcTL", b"fdAT",
})  # fmt: skip


def strip_png(data: bytes, structure: Structure, orientation: int) -> bytes:
    """Return the PNG without metadata; chunks are copied bit by bit."""
    pieces = [data[part.start : part.end] for part in structure.parts if part.kind in _KEPT]
    if orientation != 1:
        pieces.insert(1, _chunk(b"eXIf", orientation_only(orientation)))
    stripped = b"".join([SIGNATURE, *pieces])
    return data if stripped == data else stripped


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
