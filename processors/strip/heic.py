"""HEIC: copies boxes and picture items onto zeros; every byte stays where it was."""

from processors.containers.heic import HeicStructure

_FREE = b"free"
# No offset to the TIFF header, then a directory of no entries: Pillow refuses to read an Exif item of zeros.
_EMPTY_EXIF = bytes(4) + b"MM\0*\0\0\0\x08" + bytes(6)
# Within the meta box these hold texts and foreign data. (idat holds items, and gets its picture items back.)
_BLANKED_IN_META = (b"uuid", b"xml ", b"bxml", b"udta")


def strip_heic(data: bytes, structure: HeicStructure, _orientation: int) -> bytes:
    """Return the HEIC without metadata, of equal length: such items keep their place, empty.

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
    for start, end in structure.exif_ranges[:1]:
        if end - start >= len(_EMPTY_EXIF):
            stripped[start : start + len(_EMPTY_EXIF)] = _EMPTY_EXIF
    for start, end in structure.picture_ranges:
        stripped[start:end] = data[start:end]
    return data if stripped == data else bytes(stripped)
