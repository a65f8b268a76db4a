"""Draws what was found over a picture, for people to look at."""

from collections.abc import Sequence

import simplejpeg

from processors.decode.pictures import Pixels
from processors.draw.colours import colour_of
from processors.draw.labels import Label, draw_labels
from processors.draw.shapes import draw_box, draw_outline, draw_points, fill_rings
from processors.pipelines.geometry import rings_of
from schemas.result import Detection

QUALITY = 90
# Above it lines are several pixels wide, so that halved colour costs them nothing and saves half of the bytes.
_FULL_COLOUR_PIXELS = 4_000_000


def draw_overlay(
    bgr: Pixels,
    detections: Sequence[Detection],
    *,
    skeleton: Sequence[tuple[int, int]] = (),
    labels: Sequence[str] | None = None,
    headline: str | None = None,
) -> bytes:
    """Draw detections over an upright picture, in place, and return it as JPEG.

    `bgr` is uint8, height x width x 3, writable. `skeleton` joins keypoints by index. `labels` has one text a
    detection; without it a label is the class and its confidence. `headline` stands in the upper left corner. Besides
    the picture itself it takes at most a third of its memory for a while. Blocks, mostly without the interpreter's
    lock.
    """
    draw_on(bgr, detections, skeleton=skeleton, labels=labels, headline=headline)
    subsampling = "444" if bgr.shape[0] * bgr.shape[1] <= _FULL_COLOUR_PIXELS else "420"
    return bytes(simplejpeg.encode_jpeg(bgr, quality=QUALITY, colorspace="BGR", colorsubsampling=subsampling))


def draw_on(
    bgr: Pixels,
    detections: Sequence[Detection],
    *,
    skeleton: Sequence[tuple[int, int]] = (),
    labels: Sequence[str] | None = None,
    headline: str | None = None,
) -> None:
    """Draw as `draw_overlay` does, in place.

    Fills come first, then lines, then labels, so that none hides another; more confident detections cover less
    confident ones.
    """
    texts = [_text(detection) for detection in detections] if labels is None else list(labels)
    rising = sorted(range(len(detections)), key=lambda place: detections[place].confidence)
    for place in rising:
        fill_rings(bgr, rings_of(detections[place]), colour_of(detections[place].class_id))
    for place in rising:
        _draw_lines(bgr, detections[place], skeleton)
    ordered = [
        Label(texts[place], detections[place].bbox, colour_of(detections[place].class_id)) for place in rising[::-1]
    ]
    draw_labels(bgr, ordered, headline)


def _draw_lines(bgr: Pixels, detection: Detection, skeleton: Sequence[tuple[int, int]]) -> None:
    colour = colour_of(detection.class_id)
    draw_box(bgr, detection.bbox, colour)
    for ring in rings_of(detection):
        draw_outline(bgr, ring, colour)
    draw_points(bgr, detection.keypoints or [], skeleton, colour)


def _text(detection: Detection) -> str:
    return f"{detection.class_name} {detection.confidence:.2f}"
