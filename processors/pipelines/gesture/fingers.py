"""Which fingers of a hand are extended, from where its 21 landmarks lie.

Order of the landmarks: 0 wrist; 1-4 thumb, 5-8 index, 9-12 middle, 13-16 ring, 17-20 little finger, each from the
base to the tip. Only ratios of distances are looked at, so that place, size, turn and mirroring change nothing.
"""

from math import dist
from typing import Final

from processors.pipelines.gesture.options import GestureOptions
from schemas.result import Detection

LANDMARKS: Final = 21
FINGERS: Final = ("thumb", "index", "middle", "ring", "little")
_WRIST, _THUMB_BASE, _THUMB_TIP, _LITTLE_BASE = 0, 2, 4, 17
# (middle joint, tip) of the four fingers.
_JOINTS: Final = {"index": (6, 8), "middle": (10, 12), "ring": (14, 16), "little": (18, 20)}

Point = tuple[float, float]


def points_of(detection: Detection) -> list[Point]:
    """Return the 21 landmarks of a hand. Raises ValueError where the detection has another number of keypoints."""
    points = [(float(x or 0.0), float(y or 0.0)) for x, y, _ in detection.keypoints or ()]
    if len(points) != LANDMARKS:
        raise ValueError(f"a hand has {LANDMARKS} landmarks, not {len(points)}")
    return points


def extended_fingers(points: list[Point], options: GestureOptions) -> dict[str, bool]:
    """Tell of each finger whether it is extended.

    A finger is where its tip is farther from the wrist than `finger_ratio` times its middle joint. The thumb is
    where its tip is farther from the little finger's base than `thumb_ratio` times the thumb's own middle joint.
    """
    thumb = _farther(points, _LITTLE_BASE, (_THUMB_BASE, _THUMB_TIP), options.thumb_ratio)
    others = {name: _farther(points, _WRIST, joints, options.finger_ratio) for name, joints in _JOINTS.items()}
    return {"thumb": thumb, **others}


def _farther(points: list[Point], origin: int, joints: tuple[int, int], ratio: float) -> bool:
    joint, tip = joints
    return dist(points[tip], points[origin]) > ratio * dist(points[joint], points[origin])
