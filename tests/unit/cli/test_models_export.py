"""`sightline models export` as a user sees it; what the export environment does is acted by a stand-in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from processors.infer.engine import EngineOptions
from processors.infer.loading import load_model
from schemas.modelcard import Task
from sightline.cli import models_export as module
from sightline.cli.main import exit_code
from sightline.models.export import Exported, ExportJob, Machine, VariantResult
from sightline.models.exporting.environment import Environment
from sightline.models.gate import Finding, Verdict
from sightline.models.variants import Variant, describe_variant
from tests.models import detector
from tests.unit.models.labelled import NAMES, write_detections
from tests.unit.models.samples import ULTRALYTICS

_PASSED = Verdict((Finding("boxes", ">= 0.99", "0.9991", passed=True),))
_FAILED = Verdict((Finding("boxes", ">= 0.98", "0.5", passed=False),))


class _Export:
    """Gives one file for every variant, with the verdict that a test sets."""

    def __init__(self) -> None:
        self.verdicts: dict[Variant, Verdict] = {}
        self.job: ExportJob | None = None
        self.engine: Path | None = None

    def __call__(self, job: ExportJob, environment: Environment, folder: Path, _: Machine) -> Exported:
        self.job = job
        model = detector(size="side")
        helper.set_model_props(model, {**ULTRALYTICS, "imgsz": "[64, 64]", "names": str(dict(enumerate(NAMES)))})
        weights = folder / "model.onnx"
        weights.write_bytes(model.SerializeToString())
        package = folder / "model.mlpackage"
        package.mkdir()
        (package / "weights").write_bytes(b"1")
        results = [self._result(variant, job, weights) for variant in dict.fromkeys((Variant.ONNX, *job.variants))]
        results = [replace(one, path=package, model=None) if one.variant is Variant.COREML else one for one in results]
        return Exported(Task.DETECT, environment.ultralytics, "2.15.0", (), tuple(results))

    def _result(self, variant: Variant, job: ExportJob, weights: Path) -> VariantResult:
        described = describe_variant(weights, variant, job.identity)
        path = self.engine if variant is Variant.TENSORRT else weights
        return VariantResult(variant, self.verdicts.get(variant, _PASSED), path, described, 1000)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> _Export:
    export = _Export()
    monkeypatch.setattr(module, "run_export", export)
    monkeypatch.setattr(module, "find_environment", lambda *_: Environment(Path("python"), "8.4.190"))
    return export


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "My Best.pt"
    path.write_bytes(b"weights")
    return str(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_detections(tmp_path / "data")


def _export(weights: str, tmp_path: Path, *options: str) -> int:
    return exit_code(["models", "export", weights, "--output", str(tmp_path / "out"), *options])


def _lines(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def test_what_passes_becomes_a_folder_that_loads(
    stand_in: _Export, weights: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--pictures", str(data.parent / "images"), "--version", "7", "--json"]
    assert _export(weights, tmp_path, *options) == 0
    assert stand_in.job is not None
    assert len(stand_in.job.pictures) == 3
    (folder,) = _lines(capsys)["folders"].values()
    assert folder == str(tmp_path / "out" / "my-best-7")
    loaded = load_model(Path(folder), None, EngineOptions())
    assert (loaded.card.name, loaded.card.version) == ("my-best", "7")
    loaded.engine.close()
    assert (tmp_path / "out" / "report.html").is_file()


def test_what_fails_is_not_written(
    stand_in: _Export, weights: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.verdicts[Variant.ONNX_FP16] = _FAILED
    options = ["--data", str(data), "--format", "onnx", "--format", "onnx-fp16", "--name", "a", "--version", "1"]
    assert _export(weights, tmp_path, *options) == 1
    assert "onnx-fp16: boxes: 0.5, wanted >= 0.98" in capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-1", "report.html", "report.json"]
    # With --force it is there, and the exit code still says that it failed.
    assert _export(weights, tmp_path, *options, "--force") == 1
    assert (tmp_path / "out" / "a-1-fp16" / "card.yaml").is_file()


def test_full_precision_is_measured_but_not_written_unless_asked_for(
    stand_in: _Export, weights: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.verdicts[Variant.ONNX] = _FAILED
    options = ["--data", str(data), "--format", "coreml", "--name", "a", "--version", "1", "--json"]
    assert _export(weights, tmp_path, *options) == 0
    facts = _lines(capsys)
    assert [one["variant"] for one in facts["variants"]] == ["onnx", "coreml"]
    assert facts["folders"] == {"coreml": str(tmp_path / "out" / "a-1-coreml")}
    assert (tmp_path / "out" / "a-1-coreml" / "model.mlpackage" / "weights").read_bytes() == b"1"


def test_an_engine_that_fails_is_not_left_for_workers(
    stand_in: _Export, weights: str, data: Path, tmp_path: Path
) -> None:
    stand_in.engine = tmp_path / "engine.onnx"
    options = ["--data", str(data), "--format", "tensorrt"]
    for verdict in (_PASSED, _FAILED):
        stand_in.verdicts[Variant.TENSORRT] = verdict
        stand_in.engine.write_bytes(b"compiled")
        assert _export(weights, tmp_path, *options) == (0 if verdict.passed else 1)
        assert stand_in.engine.is_file() == verdict.passed


def test_int8_takes_its_pictures_from_both_splits(stand_in: _Export, weights: str, tmp_path: Path) -> None:
    write_detections(tmp_path / "data", "train", levels=(100, 101))
    file = tmp_path / "data" / "data.yaml"
    content = file.read_text()
    write_detections(tmp_path / "other")
    for kind in ("images", "labels"):
        (tmp_path / "other" / kind / "val").rename(tmp_path / "data" / kind / "val")
    file.write_text(content)
    assert _export(weights, tmp_path, "--data", str(file), "--format", "onnx-int8") == 0
    assert stand_in.job is not None
    assert len(stand_in.job.calibration) == 2
    assert len(stand_in.job.labelled) == 3


def test_what_is_needed_is_said(
    stand_in: _Export, weights: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, problem in (
        ([], "--pictures: is needed, or --data"),
        (["--format", "onnx-int8", "--pictures", str(data.parent)], "--data: int8 needs labelled pictures"),
        (["--data", str(data), "--name", "Not A Name"], "--name"),
        (["--pictures", str(tmp_path / "none")], "there is no such folder"),
    ):
        assert _export(weights, tmp_path, *options) == 2
        assert problem in capsys.readouterr().err
    assert _export(str(tmp_path / "none.pt"), tmp_path) == 2
    assert stand_in.job is None


def test_without_an_environment_it_says_how_to_make_one(
    weights: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    assert _export(weights, tmp_path, "--data", str(data), "--python", str(python)) == 2
    assert "pip install 'sightline[export]'" in capsys.readouterr().err
