"""Export with the real ultralytics, in the environment that SIGHTLINE_EXPORT_PYTHON names; without one, skipped.

The weights are of ultralytics' own architectures, made narrow. They are not trained: their statistics are those of the
pictures, and their scores are spread out, so that there is much to compare and little that is equal.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from processors.infer.engine import EngineOptions
from processors.infer.loading import load_model
from sightline.cli.main import exit_code
from tests.pictures import jpeg

_PYTHON = os.environ.get("SIGHTLINE_EXPORT_PYTHON")
_NEEDED = "SIGHTLINE_EXPORT_PYTHON names no environment with ultralytics"
pytestmark = [pytest.mark.skipif(not _PYTHON, reason=_NEEDED), pytest.mark.timeout(900)]

_SIDE = 160
_FEWEST_DETECTIONS = 100
_SIZES = ((200, 150), (150, 200), (160, 160), (90, 31), (33, 240))
_MAKE = """
import sys
from pathlib import Path
import cv2, torch, yaml, ultralytics
from ultralytics import YOLO

suffix, folder, side, pictures = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
base = Path(ultralytics.__file__).parent / "cfg" / "models" / "v8" / f"yolov8{suffix}.yaml"
content = yaml.safe_load(base.read_text()) | {"nc": 3, "scales": {"n": [0.33, 0.125, 512]}}
narrow = folder / f"yolov8n{suffix}.yaml"
narrow.write_text(yaml.safe_dump(content))
torch.manual_seed(1)
model = YOLO(str(narrow))
net = model.model
batch = torch.full((25, 3, side, side), 114 / 255)
for place, path in zip(batch, sorted(pictures.iterdir())):
    picture = cv2.imread(str(path))[:side, :side, ::-1].copy()
    place[:, : picture.shape[0], : picture.shape[1]] = torch.from_numpy(picture).permute(2, 0, 1) / 255
net.train()
for module in net.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.momentum = 1.0
head, seen = net.model[-1], {}
last = [branch[-1] for branch in head.cv3] if hasattr(head, "cv3") else [head.linear]
for layer in last:
    layer.register_forward_hook(lambda layer, _, logits: seen.update({layer: (logits.mean(), logits.std())}))
with torch.no_grad():
    net(batch)
    net.eval()
    net(batch)
    for layer in last:
        mean, std = seen[layer]
        layer.weight *= 0.8 / std
        layer.bias += (-2.5 - mean * 0.8 / std) - layer.bias * (1 - 0.8 / std)
        layer._forward_hooks.clear()
for module in net.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.momentum = 0.03
net.args = {**(net.args if isinstance(net.args, dict) else vars(net.args)), "imgsz": side}
model.save(folder / "made.pt")
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(25):
        (folder / f"{seed:02}.jpg").write_bytes(jpeg(seed, *_SIZES[seed % len(_SIZES)]))
    return folder


@pytest.fixture(autouse=True)
def _on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_WORKER_DEVICE", "cpu")


def _make(folder: Path, suffix: str, pictures: Path) -> Path:
    command = [str(_PYTHON), "-c", _MAKE, suffix, str(folder), str(_SIDE), str(pictures)]
    environ = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(folder)}
    made = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-2000:]
    return folder / "made.pt"


def _export(weights: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    output = weights.parent / "out"
    arguments = ["models", "export", str(weights), "--output", str(output), "--version", "1", "--json", *options]
    code = exit_code(arguments)
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, facts


@pytest.mark.parametrize("suffix", ["", "-seg", "-pose", "-cls"])
def test_full_precision_equals_the_original(
    suffix: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = _make(tmp_path, suffix, pictures)
    code, facts = _export(weights, capsys, "--pictures", str(pictures), "--size", str(_SIDE))
    (variant,) = facts["variants"]
    assert (code, variant["passed"]) == (0, True), variant["worst"]
    compared = int(variant["findings"][0]["seen"])
    assert compared >= (len(list(pictures.iterdir())) if suffix == "-cls" else _FEWEST_DETECTIONS)
    loaded = load_model(Path(facts["folders"]["onnx"]), None, EngineOptions())
    assert loaded.card.input_wh == (_SIDE, _SIDE)
    assert "/" not in loaded.card.description
    loaded.engine.close()


def test_smaller_variants_are_made_and_judged(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = _make(tmp_path, "", pictures)
    for split, count in (("train", 4), ("val", 12)):
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
        for number in range(count):
            seed = number + 100 * len(split)
            (tmp_path / "data" / "images" / split / f"{number}.jpg").write_bytes(jpeg(seed, 160, 120))
            (tmp_path / "data" / "labels" / split / f"{number}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (tmp_path / "data" / "data.yaml").write_text("train: images/train\nval: images/val\nnames: ['0', '1', '2']\n")
    before = sorted((tmp_path / "data").rglob("*"))
    formats = [part for name in ("onnx", "onnx-fp16", "onnx-int8") for part in ("--format", name)]
    data = str(tmp_path / "data" / "data.yaml")
    code, facts = _export(weights, capsys, *formats, "--data", data, "--size", str(_SIDE), "--force")
    fp32, fp16, int8 = facts["variants"]
    assert fp32["passed"], fp32["worst"]
    assert fp16["size_ratio"] < 0.75
    assert int8["size_ratio"] < 0.75
    assert fp16["findings"][0]["seen"] == fp32["findings"][0]["seen"]
    # Twelve pictures are too few to let it through.
    assert code == 1
    assert not int8["findings"][0]["passed"]
    for variant, precision in (("onnx-fp16", "fp16"), ("onnx-int8", "int8")):
        loaded = load_model(Path(facts["folders"][variant]), None, EngineOptions())
        assert loaded.card.precision == precision
        loaded.engine.close()
    # Nothing was written beside the user's own files.
    assert sorted((tmp_path / "data").rglob("*")) == before
    assert sorted(path.name for path in tmp_path.glob("*.onnx")) == []


def test_a_file_that_is_none_is_refused(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "broken.pt"
    weights.write_bytes(b"not a checkpoint")
    arguments = ["models", "export", str(weights), "--pictures", str(pictures), "--output", str(tmp_path / "out")]
    assert exit_code(arguments) == 2
    assert "model_unreadable" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
