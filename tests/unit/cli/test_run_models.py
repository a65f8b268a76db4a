"""`sightline run` with models from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import ModelProto

from sightline.cli.main import exit_code
from tests import models
from tests.models import save_model
from tests.pictures import encode, truncated_jpeg
from tests.scenes import LEFT, SEEN, finds, model_folders, poses, rows, steady

Run = Callable[..., tuple[int, list[str], str]]
# Grey padding would brighten a dark picture.
FRAGILE: dict[str, Any] = {"task": "classify", "preprocessing": {"resize": "stretch"}}
EXPORTED = {
    "author": "Ultralytics", "task": "detect", "names": "{0: 'polyp'}", "imgsz": "[64, 64]", "stride": "32",
    "license": "AGPL-3.0",
}  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SIGHTLINE_WORKER_DEVICE", "cpu")

    def call(*arguments: object) -> tuple[int, list[str], str]:
        capsys.readouterr()
        code = exit_code(["run", *map(str, arguments)])
        printed, said = capsys.readouterr()
        return code, printed.splitlines(), said.splitlines()[-1] if said else ""

    return call


@pytest.fixture
def polyp(tmp_path: Path) -> Path:
    return model_folders("polyp", tmp_path)["detector"]


def _json(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def _exported(path: Path, **metadata: str) -> Path:
    """Write an ONNX file that says of itself what ultralytics' exporter would."""
    model: ModelProto = finds(LEFT)
    for key, value in {**EXPORTED, **metadata}.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_each_file_is_a_line_of_json_with_what_was_found(run: Run, photos: Path, polyp: Path) -> None:
    code, lines, _ = run("polyp", photos, "--model", polyp, "--json")
    assert code == 0
    results = _json(lines)
    assert [result["source"] for result in results] == [str(photos / f"{number}.jpg") for number in range(3)]
    for result in results:
        assert result["verdict"] == "polyp"
        assert [found["bbox"] for found in result["detections"]] == [SEEN[LEFT]]
        assert [(one["role"], one["name"]) for one in result["models"]] == [("detector", "test-polyp")]
        assert {"artifacts", "origin", "cached_from"}.isdisjoint(result)


def test_people_read_how_many_of_what(run: Run, photos: Path, polyp: Path) -> None:
    code, lines, _ = run("polyp", photos, "--model", polyp)
    assert code == 0
    assert lines[0].split() == ["VERDICT", "SCORE", "FILE"]
    assert all(line.startswith("polyp") and "1 polyp" in line for line in lines[1:4])
    assert lines[-1] == "3 files, 0 failed"


@pytest.mark.parametrize(("confidence", "count"), [(0.89, 1), (0.95, 0)])
def test_a_confidence_of_ones_own(confidence: float, count: int, run: Run, photos: Path, polyp: Path) -> None:
    code, lines, _ = run("polyp", photos, "--model", polyp, "--json", "--confidence", confidence)
    assert code == 0
    assert [len(result["detections"]) for result in _json(lines)] == [count] * 3
    assert {result["verdict"] for result in _json(lines)} == {"polyp" if count else "clear"}


@pytest.mark.parametrize(("iou", "count"), [(0.9, 2), (0.3, 1)])
def test_an_iou_of_ones_own(iou: float, count: int, run: Run, photos: Path, tmp_path: Path) -> None:
    twice = steady(np.concatenate([rows(LEFT), rows((18, 32, 20, 20), confidence=0.8)], axis=2))  # IoU 0.82
    folder = save_model(tmp_path / "twice", twice, None, classes=["polyp"])
    code, lines, _ = run("polyp", photos / "0.jpg", "--model", folder, "--json", "--iou", iou)
    assert code == 0
    assert len(_json(lines)[0]["detections"]) == count


def test_another_size_of_the_input(run: Run, photos: Path, tmp_path: Path) -> None:
    """The boxes stay where they are in the input, so they lie elsewhere in the picture."""
    folder = save_model(tmp_path / "any", models.detector([LEFT], classes=1, size="side"), None, classes=["polyp"])
    boxes = []
    for size in (64, 96):
        code, lines, _ = run(
            "polyp", photos / "0.jpg", "--model", folder, "--json", "--size", size, "--confidence", 0.1
        )
        assert code == 0
        boxes.append(_json(lines)[0]["detections"][0]["bbox"])
    assert boxes == [SEEN[LEFT], [6.0, 10.0, 26.0, 30.0]]


def test_overlays_are_written_beside_each_other(run: Run, photos: Path, polyp: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "a/drawn"
    code, lines, _ = run("polyp", photos, "--model", polyp, "--json", "--overlay", drawn)
    assert code == 0
    keys = [artifact["key"] for result in _json(lines) for artifact in result["artifacts"]]
    assert sorted(keys) == sorted(str(path) for path in drawn.iterdir())
    assert len(keys) == 3
    for key in keys:
        picture = cv2.imread(key)
        assert picture is not None
        assert picture.shape == (72, 96, 3)


def test_without_a_folder_nothing_is_drawn(run: Run, photos: Path, tmp_path: Path) -> None:
    """Also by a pipeline that draws on its own."""
    folder = model_folders("banana", tmp_path)["detector"]
    code, lines, _ = run("banana", photos, "--model", folder, "--json")
    assert code == 0
    assert all("artifacts" not in result and result["detections"][0]["polygon"] for result in _json(lines))


def test_the_form_for_hospital_systems(run: Run, photos: Path, polyp: Path) -> None:
    (photos / "1.jpg").write_bytes(truncated_jpeg(1))
    code, lines, _ = run("polyp", photos, "--model", polyp, "--emr")
    first, broken, _ = _json(lines)
    assert code == 1
    assert set(first) == {"detections", "processed_at", "model_version"}
    assert first["detections"] == [{"bbox": SEEN[LEFT], "confidence": 0.9, "class": "polyp"}]
    assert first["model_version"] == "test-polyp/1"
    assert broken["error"]["code"] == "picture_truncated"


def test_nobody_looked_is_not_nothing_found(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = model_folders("deepfake", tmp_path)["classifier"]
    code, lines, _ = run("deepfake", photos, "--model", folder, "--emr")
    assert code == 1
    assert [line["error"]["code"] for line in _json(lines)] == ["not_analysed"] * 3


def test_roles_are_named_where_there_are_several(run: Run, photos: Path, tmp_path: Path) -> None:
    folders = model_folders("gesture", tmp_path)
    options = [part for role, folder in folders.items() for part in ("--model", f"{role}={folder}")]
    code, lines, _ = run("gesture", photos, *options, "--json")
    assert code == 0
    for result in _json(lines):
        assert [one["role"] for one in result["models"]] == ["detector", "classifier"]
        assert result["summary"]["hands"][0]["gesture"] in {"open", "close", "one"}


def test_a_file_that_says_what_it_is_needs_no_card(run: Run, photos: Path, tmp_path: Path) -> None:
    code, lines, _ = run("polyp", photos, "--model", _exported(tmp_path / "best.onnx"), "--json")
    assert code == 0
    assert [result["detections"][0]["bbox"] for result in _json(lines)] == [SEEN[LEFT]] * 3
    assert _json(lines)[0]["models"][0]["name"] == "best"


def test_a_file_that_fails_leaves_the_others(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "fragile", models.failing_where_dark(), None, **FRAGILE)
    (photos / "1.png").write_bytes(encode(".png", np.full((72, 96, 3), 2, np.uint8)))
    code, lines, _ = run("classify", photos, "--model", folder, "--json")
    assert code == 1
    assert ["error" in answer for answer in _json(lines)] == [False, False, True, False]
    assert _json(lines)[2]["error"]["code"] == "inference_failed"


def _gesture_models(folder: Path) -> dict[str, Path]:
    """Write models that fit, and such that give or take the 17 points of a body."""
    fitting = model_folders("gesture", folder)
    body: dict[str, Any] = {"task": "pose", "classes": ["hand"], "keypoints": {"count": 17}}
    points: dict[str, Any] = {"task": "landmarks", "classes": ["open", "close", "one"], "input_wh": [34, 1]}
    return {
        "gesture": fitting["detector"],
        "hand": fitting["classifier"],
        "body": save_model(folder / "body", poses(LEFT, 17), None, **body),
        "few": save_model(folder / "few", models.landmarks_classifier(34), None, **points),
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["polyp"], "no model is given for detector"),
        (["polyp", "--model", "{polyp}", "--model", "{polyp}"], "named twice"),
        (["gesture", "--model", "{polyp}"], "roles are detector, classifier"),
        (["civic", "--model", "{polyp}"], "roles are none"),
        (["deepfake", "--model", "{polyp}"], "model_task_wrong"),
        (["banana", "--model", "{segment}"], "model_classes_unmappable"),
        (["polyp", "--model", "{polyp}", "--size", "96"], "model_shape_wrong"),
        (["polyp", "--model", "{polyp}", "--size", "16"], "--size"),
        (["polyp", "--model", "{polyp}", "--confidence", "1.5"], "--confidence"),
        (["polyp", "--model", "{polyp}", "--iou", "-0.1"], "--iou"),
        (["banana", "--model", "{banana}", "--confidence", "0.05"], "out of this pipeline's bounds"),
        (["gesture", "--model", "detector={body}", "--model", "classifier={hand}"], "expected 21 keypoints, got 17"),
        (
            ["gesture", "--model", "detector={gesture}", "--model", "classifier={few}"],
            "expected 21 keypoints, got 17",
        ),
        (["polyp", "--model", "{nowhere}"], "model_missing"),
        (["polyp", "--model", "{silent}"], "model_card_missing"),
        (["polyp", "--model", "{text}"], "model_unreadable"),
        (["polyp", "--model", "{other}"], "model_task_wrong"),
        (["polyp", "--model", "{polyp}", "--overlay", "{text}"], "--overlay"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    arguments: list[str], says: str, run: Run, photos: Path, polyp: Path, tmp_path: Path
) -> None:
    paths = {"polyp": polyp, "nowhere": tmp_path / "nowhere", "silent": tmp_path / "silent.onnx"}
    for name in ("segment", "banana"):
        paths[name] = model_folders(name, tmp_path)["detector"]
    paths |= _gesture_models(tmp_path)
    paths["silent"].write_bytes(finds(LEFT).SerializeToString())
    paths["text"] = tmp_path / "text.onnx"
    paths["text"].write_text("not a model")
    paths["other"] = _exported(tmp_path / "other.onnx", task="obb")
    code, lines, said = run(*(argument.format(**paths) for argument in arguments), photos)
    assert code == 2
    assert says in said
    assert not [line for line in lines if "photos" in line]
