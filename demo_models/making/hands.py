"""Hands with 21 landmarks: one to three palms, open or closed fingers, among things of the same colours."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from demo_models.making.backgrounds import cloud, colour, paint
from demo_models.making.handshape import GESTURES, Shape, shape
from demo_models.making.photograph import photograph
from demo_models.making.scene import Canvas, Mask, Picture, Points, Scene, Thing, box_of, choose_size, generator

LABELS = ("hand",)
KIND = 3
_WIDTHS = (0.115, 0.095, 0.10, 0.095, 0.08)
_SEEN = 2.0
_TRIES = 25


@dataclass(frozen=True)
class _Placed:
    """A hand in the picture: its landmarks (21, 2) and the length of its palm in pixels, and its colour."""

    hand: Shape
    points: Points
    palm: float
    skin: Canvas


def draw(seed: int, *, unseen: bool = False, size_wh: tuple[int, int] | None = None) -> Scene:
    """Draw the hand scene of a seed: 1 to 3 hands, each with its gesture; boxes and landmarks in pixels."""
    rng = generator(KIND, seed, unseen=unseen)
    size = choose_size(rng, unseen=unseen, size_wh=size_wh)
    canvas = paint(rng, size, unseen=unseen)
    for _ in range(int(rng.integers(0, 6))):
        _stick(rng, canvas)
    hands = _places(rng, size, unseen=unseen)
    for placed in hands:  # all arms lie below all hands, so that no arm covers a hand
        _arm(rng, canvas, placed)
    masks = [_hand(rng, canvas, placed) for placed in hands]
    seen = [_cover(rng, canvas, placed) for placed in hands]
    picture, spoiled = photograph(rng, canvas, tint=0.1)
    things = [_thing(*one) for one in zip(hands, seen, masks, strict=True)]
    hard = max(_difficulty(placed, points, size) for placed, points in zip(hands, seen, strict=True))
    return Scene(picture, tuple(things), float(np.clip(0.5 * spoiled + 0.5 * hard, 0, 1)))


def _difficulty(placed: _Placed, seen: Points, size: tuple[int, int]) -> float:
    """Return how hard a hand is by its tilt, its smallness and what covers it, 0..1."""
    small = 1 - placed.palm / (0.33 * min(size))
    return 0.4 * placed.hand.tilt / 0.64 + 0.3 * small + 0.3 * float((seen < _SEEN).any())


def _places(rng: np.random.Generator, size: tuple[int, int], *, unseen: bool) -> list[_Placed]:
    """Return one to three hands that do not overlap; always at least one."""
    hands: list[_Placed] = []
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    while len(hands) < 1 or count > 0:
        count -= 1
        hand = shape(rng, list(GESTURES)[int(rng.integers(len(GESTURES)))])
        found = _place(rng, hand, size, hands, unseen=unseen)
        if found is not None:
            skin = _skin_ink(rng) if rng.random() < 0.88 else colour(rng)
            hands.append(_Placed(hand, *found, skin))
    return hands


def _thing(placed: _Placed, seen: Points, mask: Mask) -> Thing:
    truth = np.concatenate([placed.points, seen[:, None]], axis=1).astype(np.float32)
    return Thing("hand", box_of(mask), points=truth, pose=placed.hand.gesture)


def _place(
    rng: np.random.Generator, hand: Shape, size: tuple[int, int], others: list[_Placed], *, unseen: bool
) -> tuple[Points, float] | None:
    """Return the landmarks (21, 2) in pixels and the palm's length, clear of the other hands; None where none fits."""
    flat = hand.points[:, :2] * np.array([1, -1], np.float32)
    spans = flat.max(axis=0) - flat.min(axis=0)
    for _ in range(_TRIES):
        least, most = (0.14, 0.34) if unseen else (0.15, 0.33)
        palm = float(min(size) * rng.uniform(least, most))
        room = np.array(size) - spans * palm - 0.3 * palm
        if (room <= 0).any():
            continue
        corner = rng.random(2) * room + 0.15 * palm
        points = ((flat - flat.min(axis=0)) * palm + corner).astype(np.float32)
        if not any(_meet(points, palm, other) for other in others):
            return points, palm
    return None


def _meet(points: Points, palm: float, other: _Placed) -> bool:
    """Tell whether the boxes of two hands, skin included, overlap."""
    room = 0.13 * (palm + other.palm)
    clear = (points.min(axis=0) - other.points.max(axis=0) > room) | (
        other.points.min(axis=0) - points.max(axis=0) > room
    )
    return not bool(clear.any())


def _arm(rng: np.random.Generator, canvas: Canvas, placed: _Placed) -> None:
    """Paint a forearm, bare or in a sleeve."""
    points, palm = placed.points, placed.palm
    mask = np.zeros(canvas.shape[:2], np.uint8)
    wrist, middle = points[0], points[9]
    back = (wrist - middle) / max(float(np.hypot(*(wrist - middle))), 1.0)
    elbow = wrist + back * palm * np.float32(rng.uniform(0.5, 2.5))
    sleeve = colour(rng) if rng.random() < 0.5 else placed.skin
    _capsule(canvas, mask, (wrist + back * 0.1 * palm, elbow), (0.25 * palm, 0.33 * palm), sleeve)


def _hand(rng: np.random.Generator, canvas: Canvas, placed: _Placed) -> Mask:
    """Paint a palm and its fingers, those nearer to the viewer later; return where the hand is."""
    rows, columns = canvas.shape[:2]
    points, palm, skin = placed.points, placed.palm, placed.skin
    edge = skin * np.float32(rng.uniform(0.45, 0.7))
    layer = canvas.copy()
    mask = np.zeros((rows, columns), np.uint8)
    _palm(layer, mask, points, palm, skin, edge)
    nearness = placed.hand.points[1:, 2].reshape(5, 4).mean(axis=1)
    for finger in np.argsort(nearness):
        _finger(layer, mask, points[1 + 4 * finger : 5 + 4 * finger], _WIDTHS[finger] * palm, skin, edge)
    grain = 1 + 0.06 * cloud(rng, (columns, rows), 16, 3)
    lit = layer * (grain * np.linspace(rng.uniform(0.8, 1), rng.uniform(0.8, 1.1), columns)[None, :])[:, :, None]
    soft = cv2.GaussianBlur(mask, (3, 3), 0).astype(np.float32)[:, :, None] / 255
    canvas += (lit.astype(np.float32) - canvas) * soft
    return np.asarray(mask > 127, dtype=np.bool_)


def _palm(layer: Canvas, mask: Picture, points: Points, palm: float, skin: Canvas, edge: Canvas) -> None:
    """Paint the palm: the hull of discs round the wrist and the fingers' bases, and its creases."""
    wrist, thumb = points[0], points[1]
    across = points[5] - points[17]
    corners = [wrist + across * 0.38, wrist - across * 0.38, thumb, points[2] * 0.5 + thumb * 0.5, *points[5:18:4]]
    ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    disc = np.stack([np.cos(ring), np.sin(ring)], 1) * 0.105 * palm
    cloud_of = np.concatenate([corner + disc for corner in corners]).astype(np.float32)
    hull = cv2.convexHull(cloud_of)
    outline = np.round(hull * 16).astype(np.int32)
    cv2.fillPoly(layer, [outline], skin.tolist(), cv2.LINE_AA, 4)
    cv2.polylines(layer, [outline], True, edge.tolist(), max(1, int(palm * 0.03)), cv2.LINE_AA, 4)
    cv2.fillPoly(mask, [outline], 255.0, cv2.LINE_AA, 4)
    crease = (skin * 0.82).tolist()
    for start, end in ((0.25, 0.2), (0.45, 0.5)):
        a = points[5] * (1 - start) + wrist * start
        b = points[17] * (1 - end) + wrist * end
        cv2.line(layer, _pixel(a), _pixel(b), crease, max(1, int(palm * 0.025)), cv2.LINE_AA)


def _finger(layer: Canvas, mask: Picture, chain: Points, width: float, skin: Canvas, edge: Canvas) -> None:
    """Paint the three bones of a finger from the base to the tip, each with an edge and a lighter middle."""
    light = np.minimum(skin * 1.12, 255)
    for bone, (start, end) in enumerate(pairwise(chain)):
        radii = (width * (1 - 0.09 * bone), width * (1 - 0.09 * (bone + 1)))
        outer = (radii[0] + max(0.8, width * 0.14), radii[1] + max(0.8, width * 0.14))
        _capsule(layer, mask, (start, end), outer, edge)
        _capsule(layer, mask, (start, end), radii, skin)
        _capsule(layer, mask, (start, end), (radii[0] * 0.5, radii[1] * 0.5), light)
    cv2.circle(layer, _pixel(chain[3]), max(1, int(width * 0.45)), (skin * [0.9, 0.88, 1.0]).tolist(), -1, cv2.LINE_AA)


def _capsule(
    layer: Canvas, mask: Picture, ends: tuple[Points, Points], radii: tuple[float, float], ink: Canvas
) -> None:
    """Fill a tapered bar with round ends, on the layer and in the mask."""
    a, b = ends
    along = b - a
    length = max(float(np.hypot(*along)), 1e-3)
    normal = np.array([-along[1], along[0]], np.float32) / length
    quad = np.array([a + normal * radii[0], b + normal * radii[1], b - normal * radii[1], a - normal * radii[0]])
    shifted = np.round(quad * 16).astype(np.int32)
    for target, value in ((layer, ink.tolist()), (mask, 255.0)):
        cv2.fillConvexPoly(target, shifted, value, cv2.LINE_AA, 4)
        for centre, radius in zip(ends, radii, strict=True):
            middle = (round(float(centre[0]) * 16), round(float(centre[1]) * 16))
            cv2.circle(target, middle, round(radius * 16), value, -1, cv2.LINE_AA, 4)


def _cover(rng: np.random.Generator, canvas: Canvas, placed: _Placed) -> Points:
    """Lay a bar over a part of some hands; return 2 for each landmark that can still be seen, 1 for the others."""
    points, palm = placed.points, placed.palm
    if rng.random() < 0.7:
        return np.full(len(points), _SEEN, np.float32)
    centre = points[int(rng.integers(1, 21))] + rng.normal(0, 0.1 * palm, 2)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * palm * rng.uniform(0.4, 0.9)
    mask = np.zeros(canvas.shape[:2], np.uint8)
    half = float(palm * rng.uniform(0.05, 0.13))
    ends = ((centre - reach).astype(np.float32), (centre + reach).astype(np.float32))
    _capsule(canvas, mask, ends, (half, half), colour(rng))
    columns, rows = points.astype(int).T
    return np.where(mask[rows, columns] > 127, 1.0, _SEEN).astype(np.float32)


def _stick(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draw a lone bar, a bunch of parallel bars or a disc, often of skin's colour: like fingers and palms, but none."""
    rows, columns = canvas.shape[:2]
    ink = _skin_ink(rng) if rng.random() < 0.7 else colour(rng)
    mask = np.zeros((rows, columns), np.uint8)
    start = (rng.random(2) * (columns, rows)).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    aim = np.array([np.cos(angle), np.sin(angle)], np.float32)
    side = np.array([-aim[1], aim[0]], np.float32)
    length, half = rng.uniform(0.1, 0.4) * min(rows, columns), rng.uniform(0.012, 0.05) * min(rows, columns)
    if rng.random() < 0.25:
        cv2.circle(canvas, _pixel(start), int(length * 0.4), ink.tolist(), -1, cv2.LINE_AA)
        return
    for place in range(int(rng.choice([1, 1, 1, 2, 3, 4]))):
        a = start + side * np.float32(2.3 * half * place)
        ends = (a, (a + aim * length * rng.uniform(0.8, 1.1)).astype(np.float32))
        _capsule(canvas, mask, ends, (half * 1.15, half * 1.1), ink * np.float32(0.6))
        _capsule(canvas, mask, ends, (half, half * 0.9), ink)


def _skin_ink(rng: np.random.Generator) -> Canvas:
    """Return a colour of skin, from pale to dark, BGR."""
    pixel = np.array([[[rng.uniform(4, 18), rng.uniform(50, 165), rng.uniform(60, 240)]]], np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0], dtype=np.float32)


def _pixel(point: Points) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
