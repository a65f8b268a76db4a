"""The committed demo models, by the code that a worker runs, on scenes that are drawn here and were never seen before.

One rule, the colours or the statistic that tells the classes apart best, must not do as well: else the scenes were too
easy to show anything.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_models.making import baseline, landmarks
from demo_models.making.dataset import label_lines
from demo_models.making.scene import Scene
from demo_models.making.score import Likeness, box_likeness, mask_likeness, mean_average_precision, oks_likeness
from demo_models.making.subjects import SUBJECTS, folder_of
from processors.infer.batching import infer
from processors.infer.engine import EngineOptions
from processors.infer.interface import Answer, Prepared
from processors.infer.loading import load_model
from processors.infer.model import LoadedModel
from schemas.modelcard import Task, Thresholds
from sightline.models.dataset import load_dataset
from sightline.models.evaluate import evaluate

# Far from those of training and of the reports.
_FIRST_SEED = 70_000
_SCENES = 60
_FITTED_ON = 60
_MOST_OF_ONE_RULE = 0.6
_LIKENESS: dict[str, Likeness] = {"demo-polyp": box_likeness, "demo-banana": mask_likeness, "demo-hand": oks_likeness}


def _load(name: str) -> LoadedModel:
    return load_model(folder_of(name), None, EngineOptions(device="cpu", threads=2))


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Iterator[LoadedModel]:
    loaded = _load(request.param)
    yield loaded
    loaded.engine.close()


def _scenes(name: str, count: int, *, unseen: bool = True) -> list[Scene]:
    return [SUBJECTS[name].draw(_FIRST_SEED + number, unseen=unseen) for number in range(count)]


def _write(scenes: Sequence[Scene], name: str, folder: Path) -> Path:
    """Write scenes as a data set, without loss; for a classifier in folders of classes."""
    subject = SUBJECTS[name]
    for number, scene in enumerate(scenes):
        place = Path("val", scene.label) if subject.task == "classify" else Path("images", "val")
        (folder / place).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / place / f"{number:04}.png"), scene.picture_bgr)
        if subject.task != "classify":
            (folder / "labels" / "val").mkdir(parents=True, exist_ok=True)
            lines = label_lines(scene, subject.labels)
            (folder / "labels" / "val" / f"{number:04}.txt").write_text("".join(f"{line}\n" for line in lines))
    points = "kpt_shape: [21, 3]\n" if subject.task == "pose" else ""
    (folder / "data.yaml").write_text(f"val: images/val\nnames: {list(subject.labels)}\n{points}")
    return folder


@pytest.mark.parametrize(
    ("model", "metric"),
    [("demo-polyp", "mAP50"), ("demo-banana", "mask-mAP50"), ("demo-hand", "OKS-mAP50")],
    indirect=["model"],
)
def test_objects_are_found_where_one_rule_fails(model: LoadedModel, metric: str, tmp_path: Path) -> None:
    name = model.card.name
    scenes = _scenes(name, _SCENES)
    evaluation = evaluate(model, load_dataset(_write(scenes, name, tmp_path), model.card.task))
    assert evaluation.objects > _SCENES // 2
    assert evaluation.metrics[metric] >= 0.85
    assert evaluation.metrics["mAP50"] >= 0.85
    labels = SUBJECTS[name].labels
    rule = baseline.fit_colours(_scenes(name, _FITTED_ON, unseen=False), labels)
    found = [baseline.apply_colours(rule, scene) for scene in scenes]
    assert mean_average_precision(scenes, found, labels, _LIKENESS[name]) <= _MOST_OF_ONE_RULE


@pytest.mark.parametrize("model", ["demo-deepfake"], indirect=True)
def test_pictures_are_told_apart_where_one_rule_fails(model: LoadedModel, tmp_path: Path) -> None:
    name = model.card.name
    scenes, seen = _scenes(name, 2 * _SCENES), _scenes(name, 4 * _SCENES, unseen=False)
    evaluation = evaluate(model, load_dataset(_write(scenes, name, tmp_path), Task.CLASSIFY))
    assert min(row["objects"] for row in evaluation.by_class.values()) > _SCENES // 2
    assert evaluation.metrics["accuracy"] >= 0.95
    sides = [_statistics(seen), _classes(seen, name), _statistics(scenes), _classes(scenes, name)]
    assert baseline.best_statistic(*sides)[1] <= _MOST_OF_ONE_RULE


@pytest.mark.parametrize("model", ["demo-gesture"], indirect=True)
def test_gestures_are_told_apart_where_one_rule_fails(model: LoadedModel) -> None:
    rows, truth, _ = landmarks.sample(_FIRST_SEED, 2000, unseen=True)
    prepared = [Prepared(row.astype(np.float32), (1, 1)) for row in rows]
    answers = infer(model, prepared, [Thresholds()] * len(prepared))
    labels = [one.classification.label for one in answers if isinstance(one, Answer) and one.classification is not None]
    right = [label == landmarks.LABELS[index] for label, index in zip(labels, truth, strict=True)]
    assert np.mean(right) >= 0.95
    seen, seen_classes, _ = landmarks.sample(_FIRST_SEED + 1, 2000, unseen=False)
    sides = [seen.astype(float), seen_classes, rows.astype(float), truth]
    assert baseline.best_statistic(*sides)[1] <= _MOST_OF_ONE_RULE


def _statistics(scenes: Sequence[Scene]) -> np.ndarray:
    return np.array([baseline.picture_statistics(scene.picture_bgr) for scene in scenes])


def _classes(scenes: Sequence[Scene], name: str) -> np.ndarray:
    return np.array([SUBJECTS[name].labels.index(scene.label) for scene in scenes])
