"""Scores a model and the one-rule baseline on unseen scenes, and on their hardest fifth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from demo_models.making import baseline, faces, hands, landmarks, predict
from demo_models.making.scene import Scene
from demo_models.making.score import (
    Found,
    Likeness,
    box_likeness,
    mask_likeness,
    mean_average_precision,
    oks_likeness,
)
from demo_models.making.subjects import SUBJECTS

Figures = dict[str, float]
_LIKENESS: dict[str, Likeness] = {"detect": box_likeness, "segment": mask_likeness, "pose": oks_likeness}
_FITTED_ON = 150
_GESTURES_A_SCENE = 20


def evaluate(name: str, model: Path, count: int) -> dict[str, object]:
    """Return the figures of a model over `count` unseen scenes, its baseline's, and how both were taken."""
    if name == "demo-gesture":
        return _evaluate_gestures(model, count)
    scenes = [SUBJECTS[name].draw(seed, unseen=True) for seed in range(count)]
    if name == "demo-deepfake":
        return _evaluate_faces(model, scenes)
    return _evaluate_objects(name, model, scenes)


def _evaluate_objects(name: str, model: Path, scenes: Sequence[Scene]) -> dict[str, object]:
    subject = SUBJECTS[name]
    likeness = _LIKENESS[subject.task]
    found = predict.find(model, subject.task, scenes)
    rule = baseline.fit_colours([subject.draw(seed) for seed in range(_FITTED_ON)], subject.labels)
    ruled = [baseline.apply_colours(rule, scene) for scene in scenes]
    hard = _hardest([scene.difficulty for scene in scenes])

    def score(answers: Sequence[Sequence[Found]], rows: Sequence[int], like: Likeness = likeness) -> float:
        return mean_average_precision(
            [scenes[row] for row in rows], [answers[row] for row in rows], subject.labels, like
        )

    everything = range(len(scenes))
    return {
        "scenes": len(scenes),
        "objects": sum(len(scene.things) for scene in scenes),
        "overall": {"mAP50": score(found, everything), "box_mAP50": score(found, everything, box_likeness)},
        "hardest_fifth": {"mAP50": score(found, hard)},
        "classes": {label: mean_average_precision(scenes, found, [label], likeness) for label in subject.labels},
        "baseline": {
            "rule": "the colour range that fits each class best, connected pieces",
            "mAP50": score(ruled, everything),
            "box_mAP50": score(ruled, everything, box_likeness),
        },
    }


def _evaluate_faces(model: Path, scenes: Sequence[Scene]) -> dict[str, object]:
    truth = _classes(scenes)
    right = predict.classify(model, predict.face_inputs(scenes)).argmax(axis=1) == truth
    fitted_on = [faces.draw(seed) for seed in range(_FITTED_ON * 4)]
    _, ruled = baseline.best_statistic(_statistics(fitted_on), _classes(fitted_on), _statistics(scenes), truth)
    hard = _hardest([scene.difficulty for scene in scenes])
    return {
        "scenes": len(scenes),
        "overall": {"accuracy": float(right.mean())},
        "hardest_fifth": {"accuracy": float(right[hard].mean())},
        "classes": {label: float(right[truth == row].mean()) for row, label in enumerate(faces.LABELS)},
        "baseline": {"rule": "the best threshold on one statistic of the picture", "accuracy": ruled},
    }


def _evaluate_gestures(model: Path, count: int) -> dict[str, object]:
    rows, truth, errors = landmarks.sample(0, count * _GESTURES_A_SCENE, unseen=True)
    right = predict.classify(model, rows).argmax(axis=1) == truth
    seen, seen_classes, _ = landmarks.sample(1, len(rows), unseen=False)
    _, ruled = baseline.best_statistic(seen.astype(np.float64), seen_classes, rows.astype(np.float64), truth)
    report: dict[str, object] = {
        "scenes": len(rows),
        "overall": {"accuracy": float(right.mean())},
        "hardest_fifth": {"accuracy": float(right[_hardest(errors.tolist())].mean())},
        "classes": {label: float(right[truth == row].mean()) for row, label in enumerate(landmarks.LABELS)},
        "baseline": {"rule": "the best threshold on one coordinate", "accuracy": ruled},
    }
    detector = model.parents[1] / "demo-hand" / "model.onnx"
    if detector.exists():
        report["through_detector"] = _through_detector(model, detector, count)
    return report


def _through_detector(model: Path, detector: Path, count: int) -> Figures:
    """Return how often the gesture is right for the hands that the pose model finds (OKS at least 0.5)."""
    scenes = [hands.draw(seed, unseen=True) for seed in range(count)]
    rows, truth = [], []
    total = 0
    for scene, found in zip(scenes, predict.find(detector, "pose", scenes), strict=True):
        sure = [one for one in found if one.score > 0.25]
        likeness = oks_likeness(scene, scene.things, sure)
        total += len(scene.things)
        for column, thing in enumerate(scene.things):
            best = likeness[:, column].argmax() if sure else 0
            points = sure[best].points if sure and likeness[best, column] >= 0.5 else None
            if points is not None:
                rows.append(landmarks.normalise(points))
                truth.append(landmarks.LABELS.index(thing.pose))
    if not rows:
        return {"hands": float(total), "found": 0.0, "accuracy": 0.0}
    right = predict.classify(model, np.stack(rows)).argmax(axis=1) == np.array(truth)
    return {"hands": float(total), "found": float(len(rows)), "accuracy": float(right.mean())}


def _hardest(difficulties: Sequence[float]) -> list[int]:
    """Return the places of the hardest fifth."""
    order = np.argsort(-np.array(difficulties), kind="stable")
    return [int(place) for place in order[: max(1, len(order) // 5)]]


def _classes(scenes: Sequence[Scene]) -> np.ndarray:
    return np.array([faces.LABELS.index(scene.label) for scene in scenes])


def _statistics(scenes: Sequence[Scene]) -> np.ndarray:
    return np.array([baseline.picture_statistics(scene.picture_bgr) for scene in scenes])
