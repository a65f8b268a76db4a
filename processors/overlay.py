"""The picture with what was found drawn over it, as an artifact."""

from processors.analyse import seeing
from processors.decode.pictures import decode_picture
from processors.draw import draw_overlay
from processors.infer.lineup import Chosen
from processors.inspect import Inspected
from processors.outcome import Artifact, Context
from schemas.identity import sha256_hex
from schemas.result import Result

KIND = "overlay"
_MEDIA_TYPE = "image/jpeg"


def overlay_of(picture: Inspected, result: Result, chosen: Chosen, context: Context) -> Artifact:
    """Decode the picture once more and draw: keeping the pixels of a whole batch until now would cost too much memory.

    Blocks for the pixel budget. Raises InputError as decoding does.
    """
    keypoints = seeing(chosen).card.keypoints
    with context.pixels.hold(picture.pixels):
        data = draw_overlay(
            decode_picture(picture),
            result.detections or [],
            skeleton=() if keypoints is None else keypoints.skeleton,
            labels=None if context.labels is None else context.labels(result),
            headline=None if result.detections is not None else result.verdict,
        )
    sha256 = sha256_hex(data)
    return Artifact(KIND, f"overlays/{sha256[:2]}/{sha256}.jpg", data, sha256, _MEDIA_TYPE)
