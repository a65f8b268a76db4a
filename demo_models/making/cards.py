"""Writes a model's card: what sightline needs to know to run it, and what was measured."""

import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from demo_models.making.handshape import FINGERS
from demo_models.making.subjects import DESCRIPTIONS, NOTICE

VERSION = "1"
_JOINTS = {"thumb": ("cmc", "mcp", "ip", "tip")}
_OTHER_JOINTS = ("mcp", "pip", "dip", "tip")
_IMAGENET = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}


def write_card(name: str, weights: Path, source: Path, metrics: Mapping[str, float]) -> None:
    """Write `card.yaml` beside the weights; `source` is the checkpoint that they were exported from."""
    about = DESCRIPTIONS[name]
    card: dict[str, Any] = {
        "name": name,
        "version": VERSION,
        "task": about.task,
        "description": f"{about.text} {NOTICE}",
        "weights": weights.name,
        "files": {weights.name: sha256_of(weights)},
        "source_digest": sha256_of(source),
        "precision": "fp32",
        "classes": list(about.labels),
    }
    card |= _input_of(about.task)
    card |= {"licence": about.licence, "metrics": {key: round(value, 4) for key, value in metrics.items()}}
    text = yaml.safe_dump(card, sort_keys=False, default_flow_style=None, width=110)
    (weights.parent / "card.yaml").write_text(text, encoding="utf-8")


def sha256_of(place: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    return hashlib.sha256(place.read_bytes()).hexdigest()


def _input_of(task: str) -> dict[str, Any]:
    """Return what the input looks like and what is still to be done with the output."""
    if task == "landmarks":
        return {"input_wh": [42, 1], "activation": "softmax"}
    if task == "classify":
        resize = {"resize": "shortest-edge", "interpolation": "bilinear", "channel_order": "rgb", "scale": 1 / 255}
        return {"input_wh": [380, 380], "activation": "softmax", "preprocessing": resize | _IMAGENET}
    plain: dict[str, Any] = {"input_wh": [320, 320], "stride": 32}
    return plain | ({"keypoints": _keypoints()} if task == "pose" else {})


def _keypoints() -> dict[str, Any]:
    names = ["wrist"]
    skeleton = []
    for number, finger in enumerate(FINGERS):
        names += [f"{finger}-{joint}" for joint in _JOINTS.get(finger, _OTHER_JOINTS)]
        chain = [0, *range(1 + 4 * number, 5 + 4 * number)]
        skeleton += [list(bone) for bone in itertools.pairwise(chain)]
    skeleton += [[5, 9], [9, 13], [13, 17]]
    return {"count": len(names), "dimensions": 3, "names": names, "skeleton": skeleton}
