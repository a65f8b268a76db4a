from typing import Any

import numpy as np
import pytest

from processors.infer.classify import ClassifyHead
from processors.infer.detect import DetectHead
from processors.infer.heads import check_outputs, make_head
from processors.infer.interface import TensorSpec
from processors.infer.landmarks import LandmarksHead
from processors.infer.pose import PoseHead
from processors.infer.segment import SegmentHead
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import Keypoints, Task
from tests.unit.processors.infer.cards import card

Shape = tuple[int | None, ...]
HEADS = {
    Task.DETECT: DetectHead,
    Task.SEGMENT: SegmentHead,
    Task.POSE: PoseHead,
    Task.CLASSIFY: ClassifyHead,
    Task.LANDMARKS: LandmarksHead,
}


@pytest.mark.parametrize("task", Task)
def test_every_task_has_its_head(task: Task) -> None:
    assert type(make_head(card(task))) is HEADS[task]


GOOD: list[tuple[Task, dict[str, Any], list[Shape]]] = [
    (Task.DETECT, {}, [(None, 6, None)]),
    (Task.DETECT, {}, [(1, 6, 84)]),
    (Task.DETECT, {}, [(None, None, None)]),
    (Task.DETECT, {"end_to_end": True}, [(None, 300, 6)]),
    (Task.SEGMENT, {}, [(None, 38, 84), (None, 32, 16, 16)]),
    (Task.SEGMENT, {}, [(None, 32, 16, 16), (None, 38, 84)]),
    (Task.SEGMENT, {"end_to_end": True}, [(None, 300, 38), (None, 32, None, None)]),
    (Task.SEGMENT, {"rect": True}, [(1, 38, 42), (1, 32, 8, 16)]),
    (Task.SEGMENT, {"rect": True, "input_wh": (320, 320)}, [(1, 38, 42), (1, 32, 56, 80)]),
    (Task.POSE, {}, [(None, 12, None)]),
    (Task.POSE, {"keypoints": Keypoints(count=2, dimensions=2)}, [(None, 10, None)]),
    (Task.POSE, {"end_to_end": True}, [(None, 300, 12)]),
    (Task.CLASSIFY, {}, [(None, 2)]),
    (Task.CLASSIFY, {"activation": "sigmoid"}, [(None, 1)]),
    (Task.LANDMARKS, {"classes": ("a", "b", "c")}, [(None, 3)]),
]
BAD: list[tuple[Task, dict[str, Any], list[Shape]]] = [
    (Task.DETECT, {}, []),
    (Task.DETECT, {}, [(None, 84, 2100)]),
    (Task.DETECT, {}, [(None, 6)]),
    (Task.DETECT, {}, [(None, 300, 6)]),
    (Task.DETECT, {}, [(None, 38, 84), (None, 32, 16, 16)]),
    (Task.DETECT, {"end_to_end": True}, [(None, 6, 84)]),
    (Task.SEGMENT, {}, [(None, 38, 84)]),
    (Task.SEGMENT, {}, [(None, 37, 84), (None, 32, 16, 16)]),
    (Task.SEGMENT, {}, [(None, 38, 84), (None, 32, 15, 16)]),
    (Task.POSE, {}, [(None, 6, None)]),
    (Task.CLASSIFY, {}, [(None, 1000)]),
    (Task.CLASSIFY, {}, [(None, 2, 1, 1)]),
    (Task.CLASSIFY, {"activation": "softmax"}, [(None, 1)]),
    (Task.LANDMARKS, {"classes": ("a", "b", "c")}, [(None, 1)]),
]


@pytest.mark.parametrize(("task", "changes", "shapes"), GOOD)
def test_outputs_that_the_head_reads_are_accepted(task: Task, changes: dict[str, Any], shapes: list[Shape]) -> None:
    check_outputs(card(task, **changes), _specs(shapes))


@pytest.mark.parametrize(("task", "changes", "shapes"), BAD)
def test_other_outputs_are_refused(task: Task, changes: dict[str, Any], shapes: list[Shape]) -> None:
    with pytest.raises(ModelError) as caught:
        check_outputs(card(task, **changes), _specs(shapes))
    assert caught.value.code is ModelCode.SHAPE_WRONG
    assert caught.value.where == "tested"


def test_arrays_of_a_trial_run_are_checked_alike() -> None:
    detector = card(Task.DETECT)
    check_outputs(detector, [np.zeros((1, 6, 84), np.float32)])
    with pytest.raises(ModelError, match="expected 6 numbers an object"):
        check_outputs(detector, [np.zeros((1, 7, 84), np.float32)])


def _specs(shapes: list[Shape]) -> list[TensorSpec]:
    return [TensorSpec(f"output{index}", "float32", shape) for index, shape in enumerate(shapes)]
