"""HEIC: copies boxes and picture items onto zeros; every byte stays where it was."""

from processors.containers.heic import HeicStructure

_FREE = b"free"
# Within the meta box these hold texts and foreign data. (idat holds items, and gets its picture items back.)
_BLANKED_IN_META = (b"uuid", b"xml ", b"bxml", b"udta")


def strip_heic(data: bytes, structure: HeicStructure, _orientation: int) -> bytes:
    """Return the HEIC without metadata, of equal length: such items keep their place and hold zeros.

    Rotation stays as the property that it is. Films and maker boxes beside the picture become free space.
    """
    stripped = bytearray(len(data))
    for box in structure.top:
        whole = box.kind in {b"ftyp", b"meta"}
        stripped[box.start : box.end if whole else box.body] = data[box.start : box.end if whole else box.body]
        if not whole and box.kind != b"mdat":
            stripped[box.start + 4 : box.start + 8] = _FREE
    for box in structure.meta:
        if box.kind in _BLANKED_IN_META:
            stripped[box.start + 4 : box.start + 8] = _FREE
        if box.kind in _BLANKED_IN_META or box.kind == b"idat":
            stripped[box.body : box.end] = bytes(box.end - box.body)
    for start, end in structure.picture_ranges:
        stripped[start:end] = data[start:end]
    return data if stripped == data else bytes(stripped)
