"""`sightline models benchmark` as a user sees it."""

import json
from pathlib import Path

import pytest

from sightline.cli.main import exit_code
from tests.models import detector, landmarks_classifier, save_model
from tests.unit.models.labelled import write_detections


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SIGHTLINE_WORKER_DEVICE", "cpu")
    return str(save_model(tmp_path / "model", detector()))


def test_machines_get_a_line_for_each_size(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["models", "benchmark", model, "--batch", "2,1,2", "--seconds", "0", "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["batch"], second["batch"]) == (1, 2)
    for facts in (first, second):
        assert facts["provider"] == "CPUExecutionProvider"
        total_ms = facts["prepare_ms"] + facts["run_ms"] + facts["read_ms"]
        assert facts["pictures_per_s"] == pytest.approx(1000 / total_ms, rel=0.02)
        assert facts["peak_bytes"] > 1_000_000


def test_people_get_a_table(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_detections(tmp_path / "data")
    pictures = str(tmp_path / "data" / "images")
    assert exit_code(["models", "benchmark", model, "--batch", "4", "--seconds", "0", "--pictures", pictures]) == 0
    head, row, what = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "BATCH"
    assert row.split()[0] == "4"
    assert what == "tested@1 on CPUExecutionProvider"


@pytest.mark.parametrize("sizes", ["0", "1,x", "", "1.5"])
def test_sizes_are_numbers(model: str, sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["models", "benchmark", model, "--batch", sizes]) == 2
    assert "--batch" in capsys.readouterr().err


def test_a_gpu_that_is_not_there(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["models", "benchmark", model, "--device", "cuda"]) == 2
    assert "model_device_unavailable" in capsys.readouterr().err


def test_a_model_that_sees_no_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, classes = tmp_path / "landmarks", ["a", "b", "c"]
    model = save_model(folder, landmarks_classifier(), task="landmarks", classes=classes, input_wh=[42, 1])
    assert exit_code(["models", "benchmark", str(model)]) == 2
    assert "model_task_wrong" in capsys.readouterr().err
