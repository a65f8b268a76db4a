"""First stage: what the bytes are, before any decoder sees them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from processors.containers import heic, jpeg, png, tiff, webp
from processors.containers.structure import Admit, Structure
from processors.exif import Tags, orientation_of, read_tags
from schemas.errors import Code, InputError, Stage
from schemas.frame import Frame
from schemas.identity import sha256_hex
from schemas.pipeline import InputRules, MediaType

WALKERS: Mapping[MediaType, Callable[[bytes, Admit], Structure]] = {
    MediaType.JPEG: jpeg.walk,
    MediaType.PNG: png.walk,
    MediaType.WEBP: webp.walk,
    MediaType.HEIC: heic.walk,
    MediaType.TIFF: tiff.walk,
}
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_STRUCTURAL_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})  # these name no codec
_FIRST_BYTES = (
    (b"\xff\xd8\xff", MediaType.JPEG),
    (png.SIGNATURE, MediaType.PNG),
    (b"II*\0", MediaType.TIFF),
    (b"MM\0*", MediaType.TIFF),
)
# Formats that people do send, told apart from noise; none of them has a decoder here.
_FIRST_BYTES_WITHOUT_DECODER = (
    (b"GIF8", "GIF"), (b"BM", "BMP"), (b"%PDF-", "PDF"), (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"), (b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "Photoshop"), (b"II+\0", "BigTIFF"), (b"MM\0+", "BigTIFF"), (b"\0\0\1\0", "icon"),
)  # fmt: skip
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/heif": "image/heic"}
_UNDECLARED = frozenset({None, "", "application/octet-stream", "binary/octet-stream"})


@dataclass(frozen=True, slots=True)
class Inspected:
    """A picture whose container is whole. Sizes are (width, height) in pixels.

    `orientation` (EXIF, 1 to 8) is what is still to be applied to the decoded pixels; for HEIC it is 1, since
    its decoder applies the container's own rotation. `tags` are the EXIF tags, HEIC's orientation included.
    """

    data: bytes
    sha256: str
    media_type: MediaType
    structure: Structure
    orientation: int
    tags: Tags

    @property
    def stored_wh(self) -> tuple[int, int]:
        """Size as stored, before any rotation."""
        return self.structure.width, self.structure.height

    @property
    def upright_wh(self) -> tuple[int, int]:
        """Size as people see the picture."""
        width, height = self.stored_wh
        turned = self.structure.turned_by_decoder or self.orientation > 4  # noqa: PLR2004 - 5 to 8 swap sides
        return (height, width) if turned else (width, height)

    @property
    def pixels(self) -> int:
        """Number of pixels that the decoder makes room for."""
        return max(self.structure.width * self.structure.height, self.structure.coded_pixels)


def inspect_picture(frame: Frame, rules: InputRules) -> Inspected:
    """Check size, format, declared format, dimensions and container of a frame's value, in this order.

    Raises InputError of stage `inspect`. Reads no pixel and takes no memory that the file merely claims.
    """
    data = frame.value
    if data is None:
        raise InputError(Code.VALUE_NULL, Stage.INSPECT, "the frame has no value")
    if not data:
        raise InputError(Code.VALUE_EMPTY, Stage.INSPECT, "the picture has no bytes")
    if len(data) > rules.max_bytes:
        reason = f"{len(data)} bytes, at most {rules.max_bytes} are allowed"
        raise InputError(Code.PICTURE_TOO_LARGE, Stage.INSPECT, reason)
    media_type = detect_media_type(data)
    if media_type not in rules.media_types:
        reason = f"{media_type.value} is not among the formats that this pipeline takes"
        raise InputError(Code.MEDIA_TYPE_NOT_ALLOWED, Stage.INSPECT, reason)
    _check_declared(frame.media_type, media_type)
    structure = WALKERS[media_type](data, _admit(rules))
    tags = read_tags(structure.exif)
    return Inspected(
        data=data,
        sha256=frame.sha256 or sha256_hex(data),
        media_type=media_type,
        structure=structure,
        orientation=1 if media_type is MediaType.HEIC else orientation_of(tags),
        tags=tags,
    )


def detect_media_type(data: bytes) -> MediaType:
    """Tell the format by the first bytes.

    Raises InputError: MEDIA_TYPE_NOT_ALLOWED for a known format without a decoder, else MEDIA_TYPE_UNKNOWN.
    """
    for start, media_type in _FIRST_BYTES:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return MediaType.WEBP
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    for start, name in _FIRST_BYTES_WITHOUT_DECODER:
        if data.startswith(start):
            raise InputError(Code.MEDIA_TYPE_NOT_ALLOWED, Stage.INSPECT, f"{name} has no decoder here")
    raise InputError(Code.MEDIA_TYPE_UNKNOWN, Stage.INSPECT, "the first bytes are those of no known format")


def _by_brand(data: bytes) -> MediaType:
    """Tell HEIC from its relatives: a structural major brand names no codec, so a compatible one must name HEVC."""
    major = data[8:12]
    end = min(int.from_bytes(data[:4], "big"), 512)
    compatible = {data[at : at + 4] for at in range(16, end, 4)}
    if major in _HEVC_BRANDS or (major in _STRUCTURAL_BRANDS and compatible & _HEVC_BRANDS):
        return MediaType.HEIC
    reason = "an ISO media file whose brand is not HEIC (AVIF, video and the like) has no decoder here"
    raise InputError(Code.MEDIA_TYPE_NOT_ALLOWED, Stage.INSPECT, reason)


def _check_declared(declared: str | None, found: MediaType) -> None:
    if declared in _UNDECLARED or _ALIASES.get(declared or "", declared) == found.value:
        return
    reason = f"the bytes are {found.value}, and something else is declared"
    raise InputError(Code.MEDIA_TYPE_MISMATCH, Stage.INSPECT, reason)


def _admit(rules: InputRules) -> Admit:
    def admit(width: int, height: int) -> None:
        if max(width, height) > rules.max_side or width * height > rules.max_pixels:
            reason = f"{width} x {height} pixels; at most {rules.max_side} a side and {rules.max_pixels} are allowed"
            raise InputError(Code.DIMENSIONS_TOO_LARGE, Stage.INSPECT, reason)

    return admit
