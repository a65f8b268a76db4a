"""Trains the detector, the segmenter and the pose model: ultralytics' yolov8, narrowed, on drawn scenes only."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import ultralytics
import yaml
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer

from demo_models.making.dataset import Subject, write

_BASE = {"detect": "yolov8.yaml", "segment": "yolov8-seg.yaml", "pose": "yolov8-pose.yaml"}
_DEPTH = 0.33
_CHECKED = 64


@dataclass(frozen=True)
class Phase:
    """Some epochs at one input size; `rate` is the learning rate that they begin with.

    `sigma` is what the loss of landmarks takes for their spread; null: 1 / landmarks, as in scoring. That loss is flat
    for a landmark that is several sigmas off, so with a small one fingertips never find their places.
    """

    size: int
    epochs: int
    rate: float
    sigma: float | None = None


# Small pictures teach the most for the time; the last epochs are at the size of use.
_PHASES = (Phase(224, 7, 0.002), Phase(320, 3, 0.001))


@dataclass(frozen=True)
class Plan:
    """How one model is trained. `width` and `most_channels` narrow the architecture; `scenes` are drawn once."""

    width: float
    most_channels: int
    scenes: int
    phases: tuple[Phase, ...] = _PHASES
    batch: int = 16


def train(name: str, subject: Subject, plan: Plan, work: Path) -> Path:
    """Draw the scenes, train, and return the last checkpoint; everything is written under `work`.

    Scenes and phases that are complete there are used again, so that a training that was broken off goes on.
    """
    data = work / f"{name}-scenes"
    if not (data / "complete").exists():
        write(subject, data, range(plan.scenes, plan.scenes + _CHECKED), unseen=False, split="val")
        write(subject, data, range(plan.scenes), unseen=False, split="train")
        _complete_head(data)
        (data / "complete").touch()
    start = _architecture(subject, plan, work / f"yolov8-{name}.yaml")
    for number, phase in enumerate(plan.phases):
        run = f"{name}-{number}"
        done = work / "runs" / run / "complete"
        if not done.exists():
            _train_phase(YOLO(start, task=subject.task), data, work / "runs", run, plan, phase)
            done.touch()
        start = str(work / "runs" / run / "weights" / "last.pt")
    return Path(start)


def _train_phase(model: YOLO, data: Path, runs: Path, run: str, plan: Plan, phase: Phase) -> None:
    head = yaml.safe_load((data / "data.yaml").read_text(encoding="utf-8"))
    if phase.sigma is not None:
        head["kpt_oks_sigmas"] = [phase.sigma] * 21
    phase_head = data / f"{run}.yaml"
    phase_head.write_text(yaml.safe_dump(head, sort_keys=False), encoding="utf-8")
    model.add_callback("on_train_start", _compute_in_bfloat16)
    model.add_callback("on_train_start", _use_all_cores)
    model.train(
        data=str(phase_head),
        project=str(runs),
        name=run,
        exist_ok=True,
        imgsz=phase.size,
        epochs=phase.epochs,
        batch=plan.batch,
        nbs=plan.batch,
        optimizer="AdamW",
        lr0=phase.rate,
        lrf=0.05,
        warmup_epochs=0.5,
        cos_lr=True,
        device="cpu",
        amp=False,
        val=False,
        plots=False,
        workers=0,
        seed=0,
        verbose=False,
        **_NO_MIXING,
    )


def _compute_in_bfloat16(trainer: BaseTrainer) -> None:
    """Let the network's layers compute in bfloat16, twice as fast on a CPU that has it; weights and losses stay FP32.

    The trainer's own mixed precision is for GPUs only. The copy that is saved is another object and stays as it is.
    """
    plain = trainer.model.predict

    def predict(*positional: Any, **named: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            answer = plain(*positional, **named)
        return _in_fp32(answer)

    trainer.model.predict = predict


def _use_all_cores(_: BaseTrainer) -> None:
    """Take back the core that the trainer leaves free for loaders, of which there are none."""
    torch.set_num_threads(os.cpu_count() or 1)


def _in_fp32(answer: Any) -> Any:
    """Return a network's nested answer with each tensor in FP32."""
    if isinstance(answer, torch.Tensor):
        return answer.float()
    if isinstance(answer, dict):
        return {key: _in_fp32(part) for key, part in answer.items()}
    if isinstance(answer, list | tuple):
        return type(answer)(_in_fp32(part) for part in answer)
    return answer


# The scenes vary by themselves; turning, scaling and mirroring make each epoch's pictures new at little cost.
_NO_MIXING: dict[str, Any] = {
    "mosaic": 0.0,
    "close_mosaic": 0,
    "erasing": 0.0,
    "hsv_h": 0.01,
    "hsv_s": 0.3,
    "hsv_v": 0.3,
    "degrees": 15.0,
    "translate": 0.1,
    "scale": 0.3,
    "fliplr": 0.5,
    "flipud": 0.0,
}


def _complete_head(data: Path) -> None:
    """Name both splits, and the folder's full path: the trainer would look for a relative one in its own settings."""
    head = yaml.safe_load((data / "data.yaml").read_text(encoding="utf-8"))
    head |= {"path": str(data), "train": "images/train", "val": "images/val"}
    (data / "data.yaml").write_text(yaml.safe_dump(head, sort_keys=False), encoding="utf-8")


def _architecture(subject: Subject, plan: Plan, place: Path) -> str:
    """Write ultralytics' architecture at our width and return the file's path."""
    folder = Path(ultralytics.__file__).parent / "cfg" / "models" / "v8"
    plain = yaml.safe_load((folder / _BASE[subject.task]).read_text(encoding="utf-8"))
    plain["nc"] = len(subject.labels)
    plain["scales"] = {"n": [_DEPTH, plan.width, plan.most_channels]}
    plain["scale"] = "n"
    if subject.task == "pose":
        plain["kpt_shape"] = [21, 3]
    place.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    return str(place)
