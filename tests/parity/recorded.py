"""The recorded answers, and our own to the same questions."""

import gzip
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from processors.decode.pictures import Pixels
from schemas.identity import sha256_hex
from schemas.modelcard import ModelCard, Thresholds
from tests.parity.compare import Tally, compare
from tests.parity.ours import decode, load, ultralytics_card

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
_DEMO = HERE.parents[1] / "demo_models"
MODELS = {
    "detect": (_DEMO / "demo-polyp" / "model.onnx", "polyp"),
    "segment": (_DEMO / "demo-banana" / "model.onnx", "banana"),
    "pose": (_DEMO / "demo-hand" / "model.onnx", "hand"),
    "classify": (HERE / "models" / "ripeness" / "model.onnx", "banana"),
}
TASKS = tuple(MODELS)
Change = Callable[[ModelCard], ModelCard]


@cache
def recorded(name: str) -> Mapping[str, Any]:
    """Read what `record.py` wrote."""
    answers: dict[str, Any] = json.loads(gzip.decompress((HERE / "answers" / f"{name}.json.gz").read_bytes()))
    return answers


@cache
def picture(kind: str, name: str) -> Pixels:
    return decode(PICTURES / kind / name)


def card_of(task: str) -> ModelCard:
    size = recorded(task)["size"]
    return ultralytics_card(MODELS[task][0], (size[0], size[1]))


def replay(task: str, change: Change = lambda card: card) -> Tally:
    """Answer every recorded question of a task with our code, and compare; `change` spoils the card for a sabotage."""
    model, kind = MODELS[task]
    answers, card = recorded(task), change(card_of(task))
    assert sha256_hex(model.read_bytes()) == answers["model_sha256"], "the model is newer than the recording"
    ours, tally = load(model, card), Tally()
    for reference in answers["pictures"]:
        prepared = ours.head.prepare(picture(kind, reference["file"]))
        assert list(prepared.original_wh) == reference["wh"], reference["file"]
        (answer,) = ours.answer([prepared], [asked(reference)])
        compare({**reference, "classes": card.classes}, answer, tally)
    return tally


def asked(reference: Mapping[str, Any]) -> Thresholds:
    return Thresholds(
        confidence=reference["confidence"], iou=reference["iou"], max_detections=reference["max_detections"]
    )
