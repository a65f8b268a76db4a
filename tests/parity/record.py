"""Records what ultralytics and torch answer, for the comparison in CI. One command makes all of it anew:

    PYTHON -m tests.parity.record [--models] [NAME…]

in the repository's root, with the interpreter of an environment that has the extra `export` and torchvision. It draws
the pictures, and asks about the demo models as they are now; names (`detect`, `efficient-1` …) limit what is asked,
`--models` also trains the small classifier anew. Nothing of our own code takes part in the answers.
"""

import gzip
import json
import sys
import tempfile
from collections.abc import Collection
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
import torchvision

from tests.parity.classifiers import EFFICIENT_SIZE, RIPENESS_SIZE, efficient, ripeness
from tests.parity.drawing import draw
from tests.parity.reference import answer

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
ANSWERS = HERE / "answers"
MODELS = HERE / "models"
DEMO = HERE.parents[1] / "demo_models"
_SIZE = [320, 320]
_TASKS = {
    "detect": (DEMO / "demo-polyp" / "model.onnx", _SIZE, "polyp"),
    "segment": (DEMO / "demo-banana" / "model.onnx", _SIZE, "banana"),
    "pose": (DEMO / "demo-hand" / "model.onnx", _SIZE, "hand"),
    "classify": (MODELS / "ripeness" / "model.onnx", [RIPENESS_SIZE, RIPENESS_SIZE], "banana"),
}
# Confidence, IoU and most detections, each in turn: usual ones, and those that let crowds through or cut them off.
_SETTINGS = ((0.25, 0.7, 300), (0.1, 0.5, 100), (0.05, 0.9, 30), (0.02, 0.7, 20), (0.4, 0.45, 300))
_EFFICIENT_PICTURES = 30


def record(names: Collection[str], *, make_models: bool) -> None:
    """Record what is named, or everything; see the module."""
    draw(PICTURES)
    if make_models:
        with tempfile.TemporaryDirectory() as work:
            ripeness(MODELS / "ripeness" / "model.onnx", Path(work))
    for task, (model, size, kind) in _TASKS.items():
        if task in names or not names:
            _write(
                task,
                answer({"model": str(model), "task": task, "size": size, "rect": False, "pictures": _pictures(kind)}),
            )
    for outputs in (1, 2):
        if f"efficient-{outputs}" in names or not names:
            _record_efficient(outputs)


def _pictures(kind: str) -> list[dict[str, Any]]:
    files = sorted(file for file in (PICTURES / kind).iterdir())
    return [
        {"file": str(file), "confidence": confidence, "iou": iou, "max_detections": most}
        for file, (confidence, iou, most) in zip(files, cycle(_SETTINGS), strict=False)
    ]


def _record_efficient(outputs: int) -> None:
    files = sorted((PICTURES / "polyp").glob("0*.jpg"))[:_EFFICIENT_PICTURES]
    rows = efficient(outputs, files, MODELS / f"efficient-{outputs}" / "model.onnx")
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    _write(f"efficient-{outputs}", {**versions, "size": [EFFICIENT_SIZE, EFFICIENT_SIZE], "pictures": rows})


def _write(name: str, answers: dict[str, Any]) -> None:
    ANSWERS.mkdir(exist_ok=True)
    data = json.dumps(answers, separators=(",", ":")).encode()
    (ANSWERS / f"{name}.json.gz").write_bytes(gzip.compress(data, mtime=0))
    print(
        name, len(answers["pictures"]), "pictures,", sum(len(one.get("detections", ())) for one in answers["pictures"])
    )


if __name__ == "__main__":
    asked = sys.argv[1:]
    record([name for name in asked if name != "--models"], make_models="--models" in asked)
