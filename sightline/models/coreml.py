"""What can be said of a Core ML package without Apple's systems, which alone run it: what it takes and gives."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.modelcard import ModelCard, Task
from sightline.models.gate import Finding, Verdict

NOTE = "Not run: only Apple's systems run Core ML. Its interface was compared with the ONNX model's card."


def judge_interface(interface: Mapping[str, Any], card: ModelCard) -> Verdict:
    """Compare a package's inputs, outputs and classes, as the export script read them, with the FP32 model's card."""
    return Verdict(tuple(_findings(interface, card)))


def _findings(interface: Mapping[str, Any], card: ModelCard) -> Iterator[Finding]:
    width, height = card.input_wh
    inputs = [one.get("wh") or one.get("shape") for one in interface["inputs"]]
    wanted_inputs = ([[width, height]], [[1, 3, height, width]])
    yield Finding("input", f"one picture, {width} x {height}", _show(inputs), passed=inputs in wanted_inputs)
    outputs = [one.get("shape") or [] for one in interface["outputs"]]
    wanted = 2 if card.task is Task.SEGMENT else 1
    # A classifier's package gives the label and the probabilities by name, without shapes.
    enough = len(outputs) >= wanted if card.task is Task.CLASSIFY else len(outputs) == wanted
    yield Finding("outputs", str(wanted), _show(outputs), passed=enough)
    if card.task is not Task.CLASSIFY and not card.end_to_end:
        rows = 4 + len(card.classes) + _extras(card, outputs)
        numbers = [shape[1] for shape in outputs if len(shape) == 3]  # noqa: PLR2004  # pictures, numbers, anchors
        yield Finding("numbers an object", str(rows), _show(numbers), passed=numbers == [rows])
    names = _names(interface["metadata"])
    yield Finding("classes", ", ".join(card.classes), ", ".join(names), passed=names == card.classes)


def _extras(card: ModelCard, outputs: list[list[int]]) -> int:
    if card.keypoints is not None:
        return card.keypoints.count * card.keypoints.dimensions
    prototypes = [shape[1] for shape in outputs if len(shape) == 4]  # noqa: PLR2004  # pictures, count, height, width
    return prototypes[0] if prototypes else 0


def _names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    try:
        names = ast.literal_eval(metadata.get("names", "{}"))
    except (ValueError, SyntaxError):
        return ()
    return tuple(str(names[number]) for number in sorted(names)) if isinstance(names, dict) else ()


def _show(shapes: list[Any]) -> str:
    return ", ".join(str(shape) for shape in shapes) or "none"
