"""What an ultralytics ONNX says of itself, turned into the fields of a card."""

import ast
from collections.abc import Mapping
from typing import Any, Final

from schemas.errors import ModelCode, ModelError
from schemas.modelcard import Task

_MAKER: Final = "author", "Ultralytics"
_SQUARE_SIDES: Final = 2
# Rows of final detections: box, score, class; more columns follow for masks and keypoints.
_FINAL_COLUMNS: Final = 6
_CLASSIFY: Final = {"resize": "shortest-edge", "interpolation": "bilinear"}


def speaks_for_itself(metadata: Mapping[str, str]) -> bool:
    """Tell whether the metadata is an ultralytics exporter's, from which a card can be made."""
    return metadata.get(_MAKER[0]) == _MAKER[1] and {"task", "names", "imgsz"} <= metadata.keys()


def card_fields(
    metadata: Mapping[str, str], input_dtype: str, output_shape: tuple[int | None, ...], where: str
) -> dict[str, Any]:
    """Return a card's fields except name, version and files; `output_shape` is the first output's.

    Raises ModelError: `model_task_wrong` for a task that is not ours, `model_card_invalid` for values that are not
    what the exporter writes.
    """
    task = _task(metadata["task"], where)
    height, width = _size(_value(metadata, "imgsz", where), where)
    arguments = _value(metadata, "args", where) if "args" in metadata else {}
    fields: dict[str, Any] = {
        "task": task,
        "description": metadata.get("description", "").strip(),
        "precision": _precision(arguments, input_dtype),
        "classes": _classes(_value(metadata, "names", where), where),
        "input_wh": (width, height),
        "end_to_end": _end_to_end(task, metadata, arguments, output_shape),
    }
    if metadata.get("license"):
        fields["licence"] = metadata["license"]
    if task is Task.CLASSIFY:
        fields["preprocessing"] = _CLASSIFY
    elif "stride" in metadata:
        fields["stride"] = _value(metadata, "stride", where)
    if task is Task.POSE:
        fields["keypoints"] = _keypoints(metadata, where)
    return fields


def _task(text: str, where: str) -> Task:
    try:
        task = Task(text)
    except ValueError:
        raise ModelError(ModelCode.TASK_WRONG, where, f"task {text!r} is none of ours") from None
    return task


def _value(metadata: Mapping[str, str], key: str, where: str) -> Any:
    """Read a Python literal: the exporter writes `str()` of what it has."""
    try:
        return ast.literal_eval(metadata[key])
    except (KeyError, ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ModelError(ModelCode.CARD_INVALID, where, f"the metadata's {key!r} cannot be read") from None


def _size(value: Any, where: str) -> tuple[int, int]:
    sides = [value, value] if isinstance(value, int) else value
    if isinstance(sides, list | tuple) and len(sides) == _SQUARE_SIDES and all(isinstance(one, int) for one in sides):
        return sides[0], sides[1]
    raise ModelError(ModelCode.CARD_INVALID, where, "the metadata's 'imgsz' is not height and width")


def _classes(value: Any, where: str) -> tuple[str, ...]:
    """Return the names in the order of their numbers, which must be 0 and up without a gap."""
    names = dict(enumerate(value)) if isinstance(value, list | tuple) else value
    if not isinstance(names, dict) or set(names) != set(range(len(names))):
        raise ModelError(ModelCode.CARD_INVALID, where, "the metadata's 'names' are not numbered from 0")
    return tuple(str(names[number]) for number in range(len(names)))


def _precision(arguments: Any, input_dtype: str) -> str:
    asked = arguments if isinstance(arguments, dict) else {}
    if asked.get("quantize") in (8, "8", "int8") or asked.get("int8") is True:
        return "int8"
    if input_dtype == "float16" or asked.get("quantize") in (16, "16", "fp16") or asked.get("half") is True:
        return "fp16"
    return "fp32"


def _end_to_end(task: Task, metadata: Mapping[str, str], arguments: Any, output_shape: tuple[int | None, ...]) -> bool:
    if task is Task.CLASSIFY:
        return False
    nms_inside = isinstance(arguments, dict) and arguments.get("nms") is True
    final_rows = task is Task.DETECT and output_shape[-1:] == (_FINAL_COLUMNS,)
    return metadata.get("end2end") == "True" or nms_inside or final_rows


def _keypoints(metadata: Mapping[str, str], where: str) -> dict[str, Any]:
    count, dimensions = _size(_value(metadata, "kpt_shape", where), where)
    return {"count": count, "dimensions": dimensions, **_point_names(metadata, count)}


def _point_names(metadata: Mapping[str, str], count: int) -> dict[str, Any]:
    """Return the points' names where there is one list of them; they are for people, so no reason to refuse."""
    try:
        by_class = ast.literal_eval(metadata.get("kpt_names", "{}"))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
    lists = list(by_class.values()) if isinstance(by_class, dict) else []
    names = lists[0] if lists and all(one == lists[0] for one in lists) else None
    if isinstance(names, list | tuple) and len(names) == count:
        return {"names": tuple(str(name) for name in names)}
    return {}
