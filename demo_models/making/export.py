"""Writes a model as ONNX (FP32, any batch) whose metadata says what it is and nothing about where it was made."""

from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from ultralytics import YOLO

from demo_models.making.subjects import NOTICE, Description

OPSET = 17
_AUTHOR = "the sightline project"
# What ultralytics writes and readers need; its date, arguments and description (a path) are left out.
_KEPT = ("task", "head", "names", "stride", "imgsz", "batch", "channels", "kpt_shape", "end2end", "version")


def export_yolo(checkpoint: Path, place: Path, about: Description) -> None:
    """Write an ultralytics checkpoint as `place`, dynamic in batch, height and width."""
    place.parent.mkdir(parents=True, exist_ok=True)
    yolo = YOLO(checkpoint)
    made = Path(yolo.export(format="onnx", dynamic=True, simplify=True, opset=OPSET, imgsz=320, device="cpu"))
    model = onnx.load(made)
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key in _KEPT}
    _save(model, place, kept, about)
    made.unlink()


def export_torch(module: torch.nn.Module, sample: torch.Tensor, place: Path, about: Description) -> None:
    """Write a module with one input and one output as `place`, dynamic in the batch."""
    module.eval()
    place.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        module,
        (sample,),
        str(place),
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    _save(onnx.load(place), place, {"classes": ", ".join(about.labels)}, about)


def _save(model: onnx.ModelProto, place: Path, facts: Mapping[str, str], about: Description) -> None:
    """Write the model with this metadata alone; the graph's notes, which hold paths of the machine, are cleared."""
    said = {"license": about.licence, "description": f"{about.text} {NOTICE}", "author": _AUTHOR}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(facts) | said)
    model.doc_string = ""
    model.graph.doc_string = ""
    del model.graph.value_info[:]  # shapes that any reader infers by itself: a seventh of the file
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.save(model, place)
