"""What one rule can do: the best colour range for objects, the best single statistic for classes.

The rule is fitted on training scenes and scored on unseen ones, like the model. It stands in the report so that a
reader sees that the scenes ask for more than a colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from demo_models.making.scene import Mask, Picture, Points, Scene, box_of
from demo_models.making.score import Found

_HUES, _SHADES = 36, 8
_LEAST_PIECE = 0.003
_THRESHOLDS = 60


@dataclass(frozen=True)
class ColourRule:
    """For each class a box in hue, saturation and value; for points, where they lie in a box on average (k, 2)."""

    ranges: dict[str, tuple[Points, Points]]
    layout: Points | None


def fit_colours(scenes: Sequence[Scene], labels: Sequence[str]) -> ColourRule:
    """Return the colour range of each class that covers its pixels best (pixel IoU) on these scenes."""
    ranges = {}
    for label in labels:
        inside = np.zeros((_HUES, _SHADES, _SHADES))
        outside = np.zeros_like(inside)
        for scene in scenes:
            mask = _truth(scene, label)
            bins = _binned(scene.picture_bgr)
            np.add.at(inside, tuple(bins[mask].T), 1)
            np.add.at(outside, tuple(bins[~mask].T), 1)
        ranges[label] = _best_range(inside, outside)
    return ColourRule(ranges, _layout(scenes))


def apply_colours(rule: ColourRule, scene: Scene) -> list[Found]:
    """Return each connected piece in a class's colours, the larger ones with the higher score."""
    bins = _binned(scene.picture_bgr)
    area = bins.shape[0] * bins.shape[1]
    found = []
    for label, (low, high) in rule.ranges.items():
        hit = ((bins >= low) & (bins <= high)).all(axis=2)
        smooth = cv2.morphologyEx(
            cv2.medianBlur(np.asarray(hit, dtype=np.uint8), 5), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
        )
        count, pieces = cv2.connectedComponents(smooth)
        for piece in range(1, count):
            mask = pieces == piece
            share = float(mask.sum()) / area
            if share >= _LEAST_PIECE:
                found.append(_as_found(label, share, mask, rule.layout))
    return found


def _as_found(label: str, score: float, mask: Mask, layout: Points | None) -> Found:
    x1, y1, x2, y2 = box = box_of(mask)
    points = None if layout is None else (layout * [x2 - x1, y2 - y1] + [x1, y1]).astype(np.float32)
    return Found(label, score, box, mask, points)


def _truth(scene: Scene, label: str) -> Mask:
    """Return the pixels of a class: of its polygons, of the hull of its points, else of the oval in its box."""
    canvas = np.zeros(scene.picture_bgr.shape[:2], np.uint8)
    for thing in scene.things:
        if thing.label != label:
            continue
        if thing.parts:
            cv2.fillPoly(canvas, [np.round(part).astype(np.int32) for part in thing.parts], 1)
        elif thing.points is not None:
            cv2.fillPoly(canvas, [cv2.convexHull(np.round(thing.points[:, :2]).astype(np.int32))], 1)
        else:
            x1, y1, x2, y2 = (int(value) for value in thing.box_xyxy)
            cv2.ellipse(canvas, ((x1 + x2) // 2, (y1 + y2) // 2), ((x2 - x1) // 2, (y2 - y1) // 2), 0, 0, 360, 1, -1)
    return canvas.astype(np.bool_)


def _binned(picture: Picture) -> npt.NDArray[np.intp]:
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV).astype(np.intp)
    return np.asarray(hsv // np.array([180 // _HUES, 256 // _SHADES, 256 // _SHADES]), dtype=np.intp)


def _best_range(inside: Points, outside: Points) -> tuple[Points, Points]:
    """Return the corners of the range with the best pixel IoU: each side is moved in turn until none gets better."""
    low, high = np.zeros(3, int), np.array(inside.shape) - 1
    total, best = inside.sum(), -1.0
    for _ in range(6):
        before = best
        for axis in range(3):
            for side in (low, high):
                kept = side[axis]
                for value in range(inside.shape[axis]):
                    side[axis] = value
                    window = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
                    hit = inside[window].sum()
                    iou = hit / max(1.0, total + outside[window].sum())
                    if iou > best:
                        best, kept = float(iou), value
                side[axis] = kept
        if best <= before:
            break
    return low, high


def _layout(scenes: Sequence[Scene]) -> Points | None:
    """Return the mean place of each point in its object's box, as shares of the box."""
    shares = []
    for scene in scenes:
        for thing in scene.things:
            if thing.points is not None:
                x1, y1, x2, y2 = thing.box_xyxy
                shares.append((thing.points[:, :2] - [x1, y1]) / [x2 - x1, y2 - y1])
    return np.mean(shares, axis=0) if shares else None


def best_statistic(
    seen: npt.NDArray[np.float64],
    seen_classes: npt.NDArray[np.int64],
    unseen: npt.NDArray[np.float64],
    unseen_classes: npt.NDArray[np.int64],
) -> tuple[int, float]:
    """Return which column, with one threshold, decides the class best on seen rows, and its accuracy on unseen ones.

    Each side of the threshold stands for the class most frequent there.
    """
    best = (-1.0, 0, 0.0, 0, 0)
    for column in range(seen.shape[1]):
        for threshold in np.quantile(seen[:, column], np.linspace(0.01, 0.99, _THRESHOLDS)):
            above = seen[:, column] > threshold
            low, high = (np.bincount(seen_classes[side], minlength=1) for side in (~above, above))
            fit = float((low.max(initial=0) + high.max(initial=0)) / len(seen))
            if fit > best[0]:
                best = (fit, column, float(threshold), int(low.argmax()), int(high.argmax()))
    _, column, threshold, low_class, high_class = best
    answers = np.where(unseen[:, column] > threshold, high_class, low_class)
    return column, float((answers == unseen_classes).mean())


def picture_statistics(picture_bgr: Picture) -> list[float]:
    """Return what one rule might look at: mean and spread of each channel, sharpness, and middle against rim."""
    hsv = cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2HSV).reshape(-1, 3).astype(np.float64)
    flat = picture_bgr.reshape(-1, 3).astype(np.float64)
    grey = cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    rows, columns = grey.shape
    middle = edges[rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3]
    sharp = [float(edges.mean()), float(middle.mean()), float(middle.mean() / (edges.mean() + 1e-6))]
    return [*hsv.mean(axis=0), *hsv.std(axis=0), *flat.mean(axis=0), *flat.std(axis=0), *sharp]
