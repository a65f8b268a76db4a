"""HEIC: items with their properties and locations in ISO boxes (ISO/IEC 23008-12)."""

from dataclasses import dataclass

from processors.containers.boxes import Box, Fields, boxes
from processors.containers.hevc import coded_size
from processors.containers.structure import Admit, Structure, corrupt, truncated

_PICTURE_KINDS = (b"hvc1", b"grid", b"iden", b"iovl", b"tmap")
_MAX_ITEMS = 1000  # libheif's own limit
_MAX_EXTENTS = 10_000
_MAX_EXIF_EXTENTS = 4  # each may be the whole file

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HeicStructure(Structure):
    """A HEIC file's boxes, at the top and within its meta box, and where its picture and Exif items lie."""

    top: tuple[Box, ...] = ()
    meta: tuple[Box, ...] = ()
    picture_ranges: tuple[Range, ...] = ()
    exif_ranges: tuple[Range, ...] = ()


def walk(data: bytes, admit: Admit) -> HeicStructure:
    """Walk a HEIC file. Width and height are the primary item's before its own rotation.

    Raises InputError: truncated, corrupt, or what `admit` raises: for the primary item, and for every size
    that a coded picture of the file has, whatever the item claims.
    """
    top = tuple(boxes(data, 0, len(data)))
    meta_box = next((box for box in top if box.kind == b"meta"), None)
    if meta_box is None:
        raise corrupt("the HEIC has no meta box")
    meta = tuple(boxes(data, meta_box.body + 4, meta_box.end))
    by_kind = {box.kind: box for box in meta}
    if not {b"pitm", b"iinf", b"iloc", b"iprp"} <= by_kind.keys():
        raise corrupt("the HEIC's meta box lacks a box that it must have")
    kinds = _item_kinds(data, by_kind[b"iinf"])
    primary = _primary(data, by_kind[b"pitm"])
    if kinds.get(primary) not in _PICTURE_KINDS:
        raise corrupt("the HEIC's primary item is missing or not coded in HEVC")
    width, height, turned, coded_pixels = _size(data, by_kind[b"iprp"], primary, admit)
    places = _item_places(data, by_kind[b"iloc"], by_kind.get(b"idat"))
    pictures = tuple(part for item, found in places.items() if kinds.get(item) in _PICTURE_KINDS for part in found)
    exif_ranges = tuple(next((places[item] for item in places if kinds.get(item) == b"Exif"), []))
    if sum(end - start for start, end in pictures) > len(data):
        raise corrupt("the HEIC's items overlap")
    return HeicStructure(
        width,
        height,
        exif=_exif(data, exif_ranges),
        parts=(),
        turned_by_decoder=turned,
        coded_pixels=coded_pixels,
        top=top,
        meta=meta,
        picture_ranges=pictures,
        exif_ranges=exif_ranges,
    )


def _primary(data: bytes, box: Box) -> int:
    fields = Fields(data, box.body, box.end)
    version, _ = fields.full_box()
    return fields.number(4 if version else 2)


def _item_kinds(data: bytes, box: Box) -> dict[int, bytes]:
    fields = Fields(data, box.body, box.end)
    version, _ = fields.full_box()
    count = fields.number(4 if version else 2)
    if count > _MAX_ITEMS:
        raise corrupt("the HEIC has too many items")
    kinds = {}
    for entry in boxes(data, fields.position, box.end):
        info = Fields(data, entry.body, entry.end)
        info_version, _ = info.full_box()
        if entry.kind == b"infe" and info_version >= 2:  # noqa: PLR2004 - earlier ones have no item type
            item = info.number(4 if info_version > 2 else 2)  # noqa: PLR2004
            info.take(2)  # protection index
            kinds[item] = info.take(4)
    return kinds


def _size(data: bytes, iprp: Box, primary: int, admit: Admit) -> tuple[int, int, bool, int]:
    """Return width, height, whether the item's own rotation swaps them, and the most pixels coded."""
    within = tuple(boxes(data, iprp.body, iprp.end))
    container = next((box for box in within if box.kind == b"ipco"), None)
    if container is None:
        raise corrupt("the HEIC has no item properties")
    properties = tuple(boxes(data, container.body, container.end))
    width = height = 0
    turned = False
    for index in (index for box in within if box.kind == b"ipma" for index in _associated(data, box, primary)):
        if not 0 < index <= len(properties):
            continue
        found = properties[index - 1]
        fields = Fields(data, found.body, found.end)
        if found.kind == b"ispe":
            fields.full_box()
            width, height = fields.number(4), fields.number(4)
        elif found.kind == b"clap":
            width, height = _clean_aperture(fields)
        elif found.kind == b"irot" and fields.number(1) & 1:
            turned = not turned
    if not width or not height:
        raise corrupt("the HEIC's primary item has no width or no height")
    admit(width, height)
    coded = [coded_size(data[found.body : found.end]) for found in properties if found.kind == b"hvcC"]
    for size in coded:
        admit(*size)
    return width, height, turned, max((size[0] * size[1] for size in coded), default=0)


def _clean_aperture(fields: Fields) -> Range:
    """Return the width and height that cropping leaves; each is a fraction."""
    numbers = [fields.number(4) for _ in range(4)]
    if not numbers[1] or not numbers[3]:
        raise corrupt("the HEIC's clean aperture has a zero denominator")
    return round(numbers[0] / numbers[1]), round(numbers[2] / numbers[3])


def _associated(data: bytes, ipma: Box, item: int) -> list[int]:
    """Return the property numbers (from 1) of an item, in the order in which they apply."""
    fields = Fields(data, ipma.body, ipma.end)
    version, flags = fields.full_box()
    for _ in range(min(fields.number(4), _MAX_ITEMS)):
        owner = fields.number(4 if version else 2)
        count = fields.number(1)
        wide = flags & 1
        found = [fields.number(2) & 0x7FFF if wide else fields.number(1) & 0x7F for _ in range(count)]
        if owner == item:
            return found
    return []


def _item_places(data: bytes, iloc: Box, idat: Box | None) -> dict[int, list[Range]]:
    """Return where the extents of each item lie in the file; items built from other items are left out."""
    fields = Fields(data, iloc.body, iloc.end)
    version, _ = fields.full_box()
    sizes = fields.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    places: dict[int, list[Range]] = {}
    extents = 0
    for _ in range(fields.number(4 if version > 1 else 2)):
        item = fields.number(4 if version > 1 else 2)
        method = fields.number(2) & 15 if version else 0
        fields.take(2)  # data reference index
        base = fields.number(base_size)
        count = fields.number(2)
        extents += count + 1
        if extents > _MAX_EXTENTS:
            raise corrupt("the HEIC's items have too many extents")
        found = []
        for _ in range(count):
            fields.take(index_size if version else 0)
            found.append((base + fields.number(offset_size), fields.number(length_size)))
        if method in {0, 1}:
            places[item] = [_place(data, idat if method else None, *extent) for extent in found]
    return places


def _place(data: bytes, idat: Box | None, offset: int, length: int) -> Range:
    first, last = (idat.body, idat.end) if idat is not None else (0, len(data))
    start = first + offset
    end = start + length if length else last  # no length means all the rest
    if end > last or start > last:
        raise truncated("a HEIC item lies beyond the end of the file")
    return start, end


def _exif(data: bytes, ranges: tuple[Range, ...]) -> bytes:
    """Join the extents of the Exif item; four bytes say how far its TIFF header is off."""
    joined = b"".join(data[start:end] for start, end in ranges[:_MAX_EXIF_EXTENTS])
    return joined[4 + int.from_bytes(joined[:4], "big") :]
