"""`sightline models evaluate` as a user sees it."""

import json
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from sightline.cli.main import exit_code
from sightline.cli.models_evaluate import parse_demands
from tests.models import classifier, detector, save_model
from tests.unit.models.labelled import write_classes, write_detections


@pytest.fixture(autouse=True)
def _on_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGHTLINE_WORKER_DEVICE", "cpu")
    monkeypatch.setenv("SIGHTLINE_OBJECTS_URL", f"file://{tmp_path}/objects")
    monkeypatch.setenv("SIGHTLINE_MODELS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(save_model(tmp_path / "model", detector()))


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(write_detections(tmp_path / "data"))


def test_people_get_a_table(model: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["models", "evaluate", model, data]) == 0
    head, first, second, count, means = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["CLASS", "OBJECTS", "MAP50"]
    assert first.split()[:3] == ["first", "3", "1.000"]
    assert second.split()[0] == "second"
    assert count == "3 pictures, 6 objects"
    assert means.startswith("mAP50 1.0000")


def test_machines_get_one_line_and_a_report(
    model: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report"
    assert exit_code(["models", "evaluate", model, data, "--json", "--report", str(report)]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert facts["metrics"]["mAP50"] == pytest.approx(1.0)
    assert (facts["model"], facts["provider"], facts["split"]) == ("tested", "CPUExecutionProvider", "val")
    assert json.loads((report / "evaluation.json").read_text()) == facts
    assert f"written: {report}/confusion.png" in err.splitlines()


def test_the_exit_code_says_whether_it_is_good_enough(
    model: str, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    enough = ["--at-least", "mAP50=0.99", "--at-least", "recall=0.9"]
    assert exit_code(["models", "evaluate", model, data, *enough]) == 0
    assert exit_code(["models", "evaluate", model, data, "--confidence", "0.6", *enough]) == 1
    assert "mAP50 is 0.66" in capsys.readouterr().err
    assert exit_code(["models", "evaluate", model, data, "--at-least", "accuracy=0.9"]) == 2
    assert "accuracy is not one of mAP50, mAP50-95" in capsys.readouterr().err


def test_demands_are_names_with_numbers() -> None:
    assert parse_demands(["mAP50=0.9", "F1=.5"]) == {"mAP50": 0.9, "F1": 0.5}
    for wrong in ("mAP50", "mAP50=high", "=", ""):
        with pytest.raises(ConfigurationError, match="NAME=VALUE"):
            parse_demands([wrong])


def test_a_number_that_is_none_is_never_enough(model: str, data: str) -> None:
    assert exit_code(["models", "evaluate", model, data, "--at-least", "mAP50=nan"]) == 1


def test_fewer_pictures(model: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["models", "evaluate", model, data, "--limit", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 2


def test_a_wrong_label_is_named_with_its_line(model: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    labels = Path(data).parent / "labels" / "val" / "0001.txt"
    labels.write_text("0 0.5 0.5 0.5 0.5\n0 0.5 0.5\n")
    assert exit_code(["models", "evaluate", model, data]) == 2
    assert f"{labels}:2: 2 numbers" in capsys.readouterr().err


def test_a_model_of_the_store(model: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["models", "add", model]) == 0
    capsys.readouterr()
    assert exit_code(["models", "evaluate", "tested@1", data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["mAP50"] == pytest.approx(1.0)
    assert exit_code(["models", "evaluate", "tested@2", data]) == 2
    assert "model_missing" in capsys.readouterr().err


def test_classification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save_model(tmp_path / "classifier", classifier(), task="classify")
    folder = write_classes(tmp_path / "data", (1, 3))
    assert exit_code(["models", "evaluate", str(model), str(folder), "--at-least", "accuracy=0.75"]) == 0
    assert "accuracy 0.7500" in capsys.readouterr().out
