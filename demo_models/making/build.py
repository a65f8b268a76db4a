"""Builds one model: train, export, score, card. A checkpoint that is there is used again; remove it to train anew."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import onnx
import torch
import ultralytics
import yaml

from demo_models.making import classify
from demo_models.making.cards import write_card
from demo_models.making.evaluate import evaluate
from demo_models.making.export import export_torch, export_yolo
from demo_models.making.networks import LandmarkNet, SmallEfficientNet
from demo_models.making.subjects import DESCRIPTIONS, SUBJECTS, folder_of
from demo_models.making.train import Phase, Plan, train

_PLANS = {
    "demo-polyp": Plan(0.15, 384, 2400, (Phase(224, 5, 0.002),)),
    "demo-hand": Plan(
        0.15,
        384,
        3000,
        (
            Phase(224, 7, 0.002),
            Phase(224, 7, 0.002, sigma=0.15),
            Phase(320, 2, 0.001, sigma=0.08),
            Phase(224, 10, 0.002, sigma=0.10),
            Phase(320, 3, 0.001, sigma=0.06),
            Phase(224, 9, 0.002, sigma=0.07),
            Phase(320, 3, 0.001, sigma=0.05),
            Phase(224, 6, 0.0015, sigma=0.06),
            Phase(320, 2, 0.001, sigma=0.05),
            Phase(320, 8, 0.002, sigma=0.05),
        ),
    ),
    "demo-banana": Plan(
        0.15,
        384,
        2800,
        (
            Phase(224, 6, 0.002),
            Phase(224, 9, 0.002),
            Phase(224, 12, 0.002),
            Phase(320, 2, 0.0008),
            Phase(224, 9, 0.002),
            Phase(320, 3, 0.001),
        ),
    ),
}
_PORTRAITS, _PORTRAIT_CYCLES = (
    3000,
    (classify.Cycle(14, 0.003), classify.Cycle(9, 0.002), classify.Cycle(6, 0.001), classify.Cycle(6, 0.002)),
)


def build(name: str, work: Path, scenes: int) -> dict[str, Any]:
    """Train where no checkpoint is kept, export, score on `scenes` unseen scenes, write the card; return the report."""
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / f"{name}.pt"
    clock = work / f"{name}.json"
    if not checkpoint.exists():
        begun = time.monotonic()
        _train(name, work, checkpoint)
        before = json.loads(clock.read_text(encoding="utf-8"))["training_s"] if clock.exists() else 0
        spent = before + round(time.monotonic() - begun)
        clock.write_text(json.dumps({"training_s": spent}), encoding="utf-8")
    weights = folder_of(name) / "model.onnx"
    _export(name, checkpoint, weights)
    report: dict[str, Any] = (
        _facts(weights) | json.loads(clock.read_text(encoding="utf-8")) | evaluate(name, weights, scenes)
    )
    write_card(name, weights, checkpoint, _metrics(report))
    return report


def score(name: str, scenes: int) -> dict[str, Any]:
    """Score the committed model; return its report with the figures renewed, and renew them in its card."""
    folder = folder_of(name)
    old = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    report: dict[str, Any] = old | _facts(folder / "model.onnx") | evaluate(name, folder / "model.onnx", scenes)
    card = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    card["metrics"] = _metrics(report)
    text = yaml.safe_dump(card, sort_keys=False, default_flow_style=None, width=110)
    (folder / "card.yaml").write_text(text, encoding="utf-8")
    return report


def _train(name: str, work: Path, checkpoint: Path) -> None:
    if name == "demo-deepfake":
        classify.train_faces(work, _PORTRAITS, _PORTRAIT_CYCLES)
    elif name == "demo-gesture":
        classify.train_landmarks(work)
    else:
        shutil.copy(train(name, SUBJECTS[name], _PLANS[name], work), checkpoint)


def _export(name: str, checkpoint: Path, weights: Path) -> None:
    about = DESCRIPTIONS[name]
    if name not in {"demo-deepfake", "demo-gesture"}:
        export_yolo(checkpoint, weights, about)
        return
    pictures = name == "demo-deepfake"
    net = SmallEfficientNet(len(about.labels)) if pictures else LandmarkNet(len(about.labels))
    net.load_state_dict(torch.load(checkpoint, weights_only=True))
    sample = torch.zeros(2, 3, classify.SIZE, classify.SIZE) if pictures else torch.zeros(2, 42)
    export_torch(net, sample, weights, about)


def _facts(weights: Path) -> dict[str, Any]:
    model = onnx.load(weights)
    numbers = [entry for entry in model.graph.initializer if entry.data_type == onnx.TensorProto.FLOAT]
    return {
        "parameters": sum(onnx.numpy_helper.to_array(entry).size for entry in numbers),
        "size_bytes": weights.stat().st_size,
        "made_with": {"torch": torch.__version__, "ultralytics": ultralytics.__version__, "onnx": onnx.__version__},
    }


def _metrics(report: dict[str, Any]) -> dict[str, float]:
    """Return the figures for the card, flat."""
    hard = {f"{key}_hardest_fifth": value for key, value in report["hardest_fifth"].items()}
    rule = {f"{key}_baseline": value for key, value in report["baseline"].items() if key != "rule"}
    return {key: round(float(value), 4) for key, value in (report["overall"] | hard | rule).items()}
