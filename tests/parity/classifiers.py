"""Makes the small classifiers of the comparison, for an interpreter with torch and ultralytics.

One is ultralytics' yolov8-cls, narrowed and trained for a minute on the ripeness of drawn bananas, so that it is often
unsure. Two are torchvision's EfficientNet, narrowed, with random weights: one gives a sigmoid's logit, one two logits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
import ultralytics
import yaml
from PIL import Image
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
from ultralytics import YOLO

from demo_models.making import banana

RIPENESS_SIZE = 96
EFFICIENT_SIZE = 380
_SHORT_EDGE = 400
_IMAGENET = Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_SPREAD = 1.5
_LICENCE = "AGPL-3.0 (as claimed by the makers of ultralytics, with which it was trained)"
_KEPT = ("task", "head", "names", "stride", "imgsz", "batch", "channels", "end2end", "version")


def ripeness(place: Path, work: Path) -> None:
    """Train the narrowed yolov8-cls on crops of drawn bananas and write it as `place`."""
    for split, seeds in (("train", range(240)), ("val", range(240, 260))):
        _write_crops(work / "crops" / split, seeds)
    folder = Path(ultralytics.__file__).parent / "cfg" / "models" / "v8"
    plan = yaml.safe_load((folder / "yolov8-cls.yaml").read_text())
    plan |= {"nc": len(banana.LABELS), "scales": {"n": [0.33, 0.125, 512]}, "scale": "n"}
    (work / "yolov8-ripeness-cls.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    yolo = YOLO(str(work / "yolov8-ripeness-cls.yaml"), task="classify")
    yolo.train(
        data=str(work / "crops"),
        imgsz=RIPENESS_SIZE,
        epochs=5,
        batch=16,
        optimizer="AdamW",
        lr0=0.002,
        device="cpu",
        amp=False,
        workers=0,
        seed=0,
        plots=False,
        project=str(work / "runs"),
        exist_ok=True,
    )
    made = Path(yolo.export(format="onnx", imgsz=RIPENESS_SIZE, dynamic=True, simplify=True, opset=17, device="cpu"))
    model = onnx.load(made)
    facts = {entry.key: entry.value for entry in model.metadata_props if entry.key in _KEPT}
    _save(model, place, facts | {"license": _LICENCE, "description": "For tests of parity only, not for use."})


def efficient(outputs: int, pictures: Sequence[Path], place: Path) -> list[dict[str, Any]]:
    """Write a narrowed EfficientNet with one or two outputs as `place`; return torch's own probabilities.

    With one output pictures are stretched by a bicubic filter and it is a sigmoid's logit; with two the shorter edge
    is brought to 400 by a bilinear one and the centre cut out, and they are a softmax's.
    """
    torch.manual_seed(outputs)
    settings = [MBConvConfig(1, 3, 1, 16, 8, 1, 1.0, 1.0), MBConvConfig(4, 3, 2, 8, 16, 2, 1.0, 1.0)]
    settings += [MBConvConfig(4, 5, 2, 16, 24, 2, 1.0, 1.0), MBConvConfig(4, 3, 2, 24, 32, 1, 1.0, 1.0)]
    network = EfficientNet(settings, dropout=0.0, num_classes=outputs)
    preprocess = _preprocess(outputs)
    batches = [preprocess(Image.open(file).convert("RGB"))[None] for file in pictures]
    with torch.no_grad():
        _settle(network, torch.cat(batches[:12]))
        _spread(network, torch.cat(batches[:12]))
        logits = [network(batch)[0] for batch in batches]
    probabilities = [_probabilities(one) for one in logits]
    _export(network, batches[0], place)
    return [
        {"file": f"{file.parent.name}/{file.name}", "probabilities": [round(float(one), 6) for one in row]}
        for file, row in zip(pictures, probabilities, strict=True)
    ]


def _preprocess(outputs: int) -> Compose:
    if outputs == 1:
        resize = [Resize((EFFICIENT_SIZE, EFFICIENT_SIZE), InterpolationMode.BICUBIC)]
    else:
        resize = [Resize(_SHORT_EDGE, InterpolationMode.BILINEAR), CenterCrop(EFFICIENT_SIZE)]
    return Compose([*resize, ToTensor(), _IMAGENET])


def _probabilities(logits: torch.Tensor) -> torch.Tensor:
    if len(logits) == 1:
        return torch.cat([1 - torch.sigmoid(logits), torch.sigmoid(logits)])
    return torch.softmax(logits, dim=0)


def _settle(network: torch.nn.Module, batch: torch.Tensor) -> None:
    """Take the running statistics from the pictures, else random layers let every signal die away."""
    for one in network.modules():
        if isinstance(one, torch.nn.BatchNorm2d):
            one.momentum = 0.5
            one.eps = 0.05  # a channel that hardly varies would blow rounding errors up
            one.bias.normal_(0, 0.3)
    network.train()
    for _ in range(3):
        network(batch)
    network.eval()


def _spread(network: EfficientNet, batch: torch.Tensor) -> None:
    """Scale the last layer so that the logits differ from picture to picture, around 0."""
    logits = network(batch)
    factor = _SPREAD / logits.std(dim=0)
    last = network.classifier[-1]
    last.weight *= factor[:, None]
    last.bias.copy_((last.bias - logits.mean(dim=0)) * factor)


def _export(network: torch.nn.Module, sample: torch.Tensor, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    axes = {"input": {0: "batch"}, "logits": {0: "batch"}}
    names: dict[str, Any] = {"input_names": ["input"], "output_names": ["logits"], "dynamic_axes": axes}
    torch.onnx.export(network, (sample,), str(place), opset_version=17, dynamo=False, **names)
    _save(onnx.load(place), place, {})


def _save(model: onnx.ModelProto, place: Path, metadata: dict[str, str]) -> None:
    """Write the model with this metadata alone: the exporters' own holds paths."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    model.doc_string = model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    place.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, place)


def _write_crops(folder: Path, seeds: Sequence[int]) -> None:
    for seed in seeds:
        scene = banana.draw(seed)
        for number, thing in enumerate(scene.things):
            x1, y1, x2, y2 = np.array(thing.box_xyxy).astype(int)
            place = folder / thing.label
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{seed}-{number}.png"), scene.picture_bgr[y1:y2, x1:x2])
