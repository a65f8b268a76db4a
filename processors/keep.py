"""Decides whether a picture is kept, and takes its metadata off first."""

from processors.inspect import Inspected
from processors.outcome import Artifact
from processors.strip import strip_picture
from schemas.frame import Frame
from schemas.identity import sha256_hex
from schemas.pipeline import MediaType, PipelineDefinition

_EXTENSIONS = {
    MediaType.JPEG: "jpg",
    MediaType.PNG: "png",
    MediaType.WEBP: "webp",
    MediaType.HEIC: "heic",
    MediaType.TIFF: "tiff",
}


def keep_picture(frame: Frame, picture: Inspected, definition: PipelineDefinition) -> tuple[Artifact, ...]:
    """Return the stripped picture under a key made of its own hash, or nothing where nothing is kept.

    What the frame asks for goes before the pipeline's setting.
    """
    asked = frame.settings.keep
    if not (definition.keep == "picture" if asked is None else asked):
        return ()
    data = strip_picture(picture)
    sha256 = picture.sha256 if data is picture.data else sha256_hex(data)
    key = f"pictures/{sha256[:2]}/{sha256}.{_EXTENSIONS[picture.media_type]}"
    return (Artifact("picture", key, data, sha256, picture.media_type.value),)
