"""Overlays as they lie in the object store: over the picture that came in, where the result says."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.headers import Headers
from tests.audit import assert_sound
from tests.pictures import encode, headers
from tests.scenes import put_models_in_force
from tests.world import World

pytestmark = pytest.mark.services
SIZES = [(96, 72), (72, 96), (640, 480), (41, 300)]
MOST_BYTES = 1_000_000
Pixels = NDArray[np.uint8]


def _picture(width: int, height: int) -> Pixels:
    """Draw grey stripes: texture enough for a gate, and no colour, so that whatever has one was drawn."""
    columns = np.arange(width) // 6 % 2 * 60 + 80
    return np.repeat(np.broadcast_to(columns[None, :, None], (height, width, 1)), 3, axis=2).astype(np.uint8)


def _changed(overlay: Pixels, original: Pixels) -> NDArray[np.bool_]:
    """Return which pixels were drawn on; those next to one count too."""
    apart = np.abs(overlay.astype(int) - original).max(axis=2) > 30
    return cv2.dilate(apart.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _along(ring: list[list[float]]) -> NDArray[np.int_]:
    """Return the pixels along a closed ring, one for each pixel of its length."""
    points = []
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        steps = max(int(np.hypot(x2 - x1, y2 - y1)), 1)
        points += [(x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps) for step in range(steps)]
    return np.floor(points).astype(int)


def _share_drawn(changed: NDArray[np.bool_], pixels: NDArray[np.int_]) -> float:
    height, width = changed.shape
    x, y = np.clip(pixels, 0, (width - 1, height - 1)).T
    return float(changed[y, x].mean())


@pytest.mark.parametrize("pipeline", ["banana", "pose"])
def test_what_was_found_is_drawn_where_the_result_says(pipeline: str, world_like: Callable[[str], World]) -> None:
    world = world_like(pipeline)
    put_models_in_force(world, pipeline)
    pictures = {f"{width}x{height}": _picture(width, height) for width, height in SIZES}
    asked: Headers = [("ce_overlay", b"true")]
    world.start_all()
    published = world.publish(
        (encode(".png", picture), [*headers(name, "/c", "image/png"), *asked]) for name, picture in pictures.items()
    )
    world.wait_for_rows(len(SIZES))
    evidence = assert_sound(world, published)
    assert len(evidence.topic_results) == len(SIZES)
    for result in evidence.topic_results:
        original = pictures[result["event_id"]]
        overlay = _stored(world, result)
        assert overlay.shape == original.shape
        changed = _changed(overlay, original)
        (found,) = result["detections"]
        x1, y1, x2, y2 = found["bbox"]
        rings = [[[x1, y1], [x2, y1], [x2, y2], [x1, y2]], *([found["polygon"]] if "polygon" in found else [])]
        for ring in rings:
            assert _share_drawn(changed, _along(ring)) > 0.95
        if pipeline == "pose":
            points = np.floor([[x, y] for x, y, _ in found["keypoints"]]).astype(int)
            assert _share_drawn(changed, points) == 1


def _stored(world: World, result: dict[str, Any]) -> Pixels:
    (artifact,) = [one for one in result["artifacts"] if one["kind"] == "overlay"]
    data = world.store.get(artifact["key"], max_bytes=MOST_BYTES)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)
