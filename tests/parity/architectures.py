"""Makes models of ultralytics' own full architectures, for an interpreter that has it: a test can fetch no weights.

    PYTHON tests/parity/architectures.py FOLDER PLAN.json

The plan: {"size": N, "pictures": [FILE…], "models": [{"name", "architecture": "yolov8n-seg", "end_to_end": bool}]}.
The weights are random, but set so that pictures matter and scores spread: the running statistics come from the
pictures, and the last layers are scaled until a small share of the anchors is above a usual threshold.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics import YOLO
from ultralytics.nn.modules import Classify, Detect

_SPREAD = 1.5
_ABOVE_EVEN = 0.003  # the share of anchors whose best class is above 0.5
_BOX_SPREAD = 2.0
_COEFFICIENT_SPREAD = 1.0
_SIDES = 4
_DISTANCE = 3.5


def make(plan: dict[str, Any], folder: Path) -> None:
    """Write FOLDER/NAME/model.onnx for each model of the plan."""
    torch.set_num_threads(1)
    size = plan["size"]
    batch = torch.from_numpy(np.stack([_pixels(Path(file), size) for file in plan["pictures"]]))
    for model in plan["models"]:
        torch.manual_seed(7)
        yolo = YOLO(model["architecture"] + ".yaml")
        with torch.no_grad():
            _settle(yolo.model, batch, end_to_end=model["end_to_end"])
        # `nms=False` asks for the outputs of the head that needs no suppression, where an architecture has one.
        extra = {"nms": False} if model["end_to_end"] else {}
        made = yolo.export(format="onnx", imgsz=size, dynamic=True, simplify=False, device="cpu", **extra)
        place = folder / model["name"] / "model.onnx"
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(made).replace(place)


def _pixels(file: Path, size: int) -> Any:
    bgr = cv2.imread(str(file))
    assert bgr is not None
    return cv2.resize(bgr[:, :, ::-1].copy(), (size, size)).transpose(2, 0, 1).astype(np.float32) / 255


def _settle(module: torch.nn.Module, batch: torch.Tensor, *, end_to_end: bool) -> None:
    norms = [one for one in module.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.5
        norm.weight.uniform_(0.7, 1.5)
        norm.bias.normal_(0, 0.3)
    module.train()
    for _ in range(4):
        module(batch)
    module.eval()
    for head in module.modules():
        if isinstance(head, Detect):
            _scale_detect(head, module, batch, end_to_end=end_to_end)
        elif isinstance(head, Classify):
            _scale(head.linear, module, batch, _SPREAD)


def _scale_detect(head: Detect, module: torch.nn.Module, batch: torch.Tensor, *, end_to_end: bool) -> None:
    if end_to_end:
        head.end2end = True
    start = "one2one_" if end_to_end and hasattr(head, "one2one_cv2") else ""
    for branch in getattr(head, start + "cv2"):
        direct = branch[-1].out_channels == _SIDES  # distances themselves, in strides, instead of their distribution
        _scale(branch[-1], module, batch, *((1.0, _DISTANCE) if direct else (_BOX_SPREAD, 0.0)))
    for branch in getattr(head, start + "cv3"):
        _scale(branch[-1], module, batch, _SPREAD, above_even=_ABOVE_EVEN)
    for branch in getattr(head, start + "cv4", None) or ():
        if isinstance(branch[-1], torch.nn.Conv2d):
            _scale(branch[-1], module, batch, _COEFFICIENT_SPREAD)


def _scale(
    layer: Any,
    module: torch.nn.Module,
    batch: torch.Tensor,
    spread: float,
    around: float = 0.0,
    *,
    above_even: float | None = None,
) -> None:
    """Scale a layer so that its outputs spread by so much over pictures and places, around a value or below."""
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    module(batch)
    handle.remove()
    values = seen[0].transpose(0, 1).flatten(1)
    middle, deviation = values.mean(dim=1), values.std(dim=1).clamp_min(1e-6)
    factor = spread / deviation
    layer.weight *= factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.copy_((layer.bias - middle) * factor + around)
    if above_even is not None:
        best = ((values - middle[:, None]) * factor[:, None]).max(dim=0).values
        layer.bias -= torch.quantile(best, 1 - above_even)


def main() -> None:
    """See the module."""
    folder, plan = map(Path, sys.argv[1:])
    make(json.loads(plan.read_text()), folder)


if __name__ == "__main__":
    main()
