"""The head of each task, and whether a model's outputs are what its head reads."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from processors.infer.classify import ClassifyHead
from processors.infer.detect import DetectHead
from processors.infer.interface import Head, Tensor, TensorSpec
from processors.infer.landmarks import LandmarksHead
from processors.infer.pose import PoseHead
from processors.infer.segment import SegmentHead
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import ModelCard, Task

_HEADS: Final[Mapping[Task, Callable[[ModelCard], Head]]] = {
    Task.DETECT: DetectHead,
    Task.SEGMENT: SegmentHead,
    Task.POSE: PoseHead,
    Task.CLASSIFY: ClassifyHead,
    Task.LANDMARKS: LandmarksHead,
}
_BOX = 4
_END_TO_END = 6
_ROWS, _PROTOTYPES = 3, 4  # axes
Shape = tuple[int | None, ...]


def make_head(card: ModelCard) -> Head:
    """Return the head of the card's task."""
    return _HEADS[card.task](card)


def check_outputs(card: ModelCard, outputs: Sequence[TensorSpec | Tensor]) -> None:
    """Compare a model's outputs with what its head reads: specs when it is loaded, arrays after a trial run.

    An axis of any length is taken on trust. Raises ModelError (`model_shape_wrong`) with expected and got.
    """
    shapes = [tuple(output.shape) for output in outputs]
    problem = _picture_problem(card, shapes) if card.task in _ANCHORED else _class_problem(card, shapes)
    if problem is not None:
        raise ModelError(ModelCode.SHAPE_WRONG, card.name, problem)


_ANCHORED: Final = (Task.DETECT, Task.SEGMENT, Task.POSE)


def _class_problem(card: ModelCard, shapes: Sequence[Shape]) -> str | None:
    wanted = len(card.classes)
    if len(shapes) != 1 or len(shapes[0]) != 2:  # noqa: PLR2004 - pictures, classes
        return f"expected one output [pictures, {wanted}], got {_show(shapes)}"
    width = shapes[0][1]
    if width in {wanted, None}:
        return None
    if (width, wanted) == (1, 2):
        return "a softmax over one number is always 1" if card.activation == "softmax" else None
    return f"the card has {wanted} classes, the output {width}"


def _picture_problem(card: ModelCard, shapes: Sequence[Shape]) -> str | None:
    wanted_axes = [_ROWS, _PROTOTYPES] if card.task is Task.SEGMENT else [_ROWS]
    if sorted(len(shape) for shape in shapes) != wanted_axes:
        return f"expected outputs with {wanted_axes} axes, got {_show(shapes)}"
    rows, *prototypes = sorted(shapes, key=len)
    extras: int | None = card.keypoints.count * card.keypoints.dimensions if card.keypoints else 0
    if prototypes:
        extras = prototypes[0][1]
        # With `rect` a picture's own frame decides, whose sides are multiples of the stride.
        if not card.rect and not all(map(_divides, prototypes[0][:1:-1], card.input_wh)):
            return f"prototypes of {_show(prototypes)} are no whole fraction of the input {card.input_wh}"
    if extras is None:
        return None
    return _rows_problem(rows, len(card.classes), extras, end_to_end=card.end_to_end)


def _rows_problem(rows: Shape, classes: int, extras: int, *, end_to_end: bool) -> str | None:
    axis, wanted = (2, _END_TO_END + extras) if end_to_end else (1, _BOX + classes + extras)
    if rows[axis] in {wanted, None}:
        return None
    return (
        f"expected {wanted} numbers an object ({classes} classes, {extras} extras), got {rows[axis]} in {_show([rows])}"
    )


def _divides(part: int | None, whole: int) -> bool:
    return part is None or (part > 0 and whole % part == 0)


def _show(shapes: Sequence[Shape]) -> str:
    return ", ".join(str(["?" if axis is None else axis for axis in shape]) for shape in shapes) or "none"
