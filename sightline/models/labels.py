"""Label files in YOLO's form: one object a line, a class id and then numbers as shares of width and height.

Detect: centre x, centre y, width, height. Segment: the corners x, y of one polygon. Pose: the box, then x, y (and
visibility) of each keypoint. Where boxes are wanted, a polygon does as well: its own box counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from schemas.errors import ConfigurationError
from schemas.modelcard import Task
from sightline.models.geometry import Doubles

_BOX: Final = 4
_FEWEST_CORNERS: Final = 3
# Tools round: a box that ends a hundredth outside is drawn to the edge.
_SLACK: Final = 0.01
_VISIBLE: Final = 2.0


@dataclass(frozen=True, slots=True)
class LabelForm:
    """What the lines of a data set look like. `keypoint_shape` is (points, 2 or 3), for pose only."""

    task: Task
    classes: int
    keypoint_shape: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """One labelled object, in pixels of the upright picture, or in shares of it; see `scaled`.

    `bbox` is [x1, y1, x2, y2]; `polygon` n x 2; `keypoints` n x 3 with visibility 0 for what is not labelled.
    """

    class_id: int
    bbox: Doubles
    polygon: Doubles | None = None
    keypoints: Doubles | None = None

    def scaled(self, width: float, height: float) -> "Truth":
        """Turn shares of the picture into its pixels."""
        wh = np.array([width, height])
        return Truth(
            self.class_id,
            self.bbox * np.tile(wh, 2),
            None if self.polygon is None else self.polygon * wh,
            None if self.keypoints is None else self.keypoints * np.array([width, height, 1.0]),
        )


def read_labels(path: Path, form: LabelForm) -> list[Truth]:
    """Read one label file, in shares of the picture; no file means no object, a repeated line counts once.

    Raises ConfigurationError with file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), f"cannot be read: {type(error).__name__}") from None
    numbered = {text: number for number, text in reversed(list(enumerate(lines, 1))) if text.strip()}
    return [
        _parse(text, form, f"{path}:{number}") for text, number in sorted(numbered.items(), key=lambda item: item[1])
    ]


def _parse(line: str, form: LabelForm, where: str) -> Truth:
    first, *rest = line.split()
    class_id = _class_id(first, form.classes, where)
    numbers = _numbers(rest, where)
    if form.task is Task.POSE:
        return _with_keypoints(class_id, numbers, form, where)
    if form.task is Task.DETECT and len(numbers) == _BOX:
        return Truth(class_id, _box(numbers, where))
    polygon = _polygon(numbers, where)
    bbox = np.concatenate((polygon.min(axis=0), polygon.max(axis=0)))
    return Truth(class_id, bbox, polygon if form.task is Task.SEGMENT else None)


def _class_id(text: str, classes: int, where: str) -> int:
    # Some tools write 0.0.
    number = _numbers([text], where)[0]
    if not number.is_integer() or not 0 <= number < classes:
        raise ConfigurationError(where, f"class {text} is not one of 0 to {classes - 1}")
    return int(number)


def _numbers(texts: Sequence[str], where: str) -> list[float]:
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        raise ConfigurationError(where, "a number is malformed") from None
    if not all(map(math.isfinite, numbers)):
        raise ConfigurationError(where, "a number is not finite")
    return numbers


def _box(numbers: Sequence[float], where: str) -> Doubles:
    x, y, width, height = _shares(numbers, where).tolist()
    if width <= 0 or height <= 0:
        raise ConfigurationError(where, "a box has no width or height")
    corners = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return np.asarray(np.clip(corners, 0.0, 1.0))


def _polygon(numbers: Sequence[float], where: str) -> Doubles:
    if len(numbers) % 2 or len(numbers) < 2 * _FEWEST_CORNERS:
        raise ConfigurationError(where, f"{len(numbers)} numbers after the class are neither a box nor a polygon")
    return np.asarray(np.clip(_shares(numbers, where).reshape(-1, 2), 0.0, 1.0))


def _with_keypoints(class_id: int, numbers: Sequence[float], form: LabelForm, where: str) -> Truth:
    count, dimensions = form.keypoint_shape or (0, 0)
    wanted = _BOX + count * dimensions
    if len(numbers) != wanted:
        raise ConfigurationError(where, f"{len(numbers)} numbers after the class; {wanted} are wanted")
    rows = np.array(numbers[_BOX:], float).reshape(count, dimensions)
    _shares(rows[:, :2].ravel().tolist(), where)
    # Without visibility, a point at (0, 0) is how such files say that there is none.
    seen = rows[:, 2:] if dimensions == 3 else np.any(rows > 0, axis=1, keepdims=True) * _VISIBLE  # noqa: PLR2004
    return Truth(class_id, _box(numbers[:_BOX], where), keypoints=np.hstack((rows[:, :2], seen)))


def _shares(numbers: Sequence[float], where: str) -> Doubles:
    shares = np.array(numbers, float)
    if shares.size and (shares.min() < -_SLACK or shares.max() > 1 + _SLACK):
        raise ConfigurationError(where, "coordinates are shares of the picture, from 0 to 1")
    return shares
