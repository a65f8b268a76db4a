"""Our answers against ultralytics as it is installed, on its own full architectures, also those without suppression.

Runs where SIGHTLINE_EXPORT_PYTHON names an interpreter that has the extra `export`.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import pytest

from tests.parity.compare import Tally, compare
from tests.parity.ours import decode, load, ultralytics_card
from tests.parity.recorded import HERE, PICTURES, asked

PYTHON = os.environ.get("SIGHTLINE_EXPORT_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="SIGHTLINE_EXPORT_PYTHON is not set")

_LEAST_PICTURES = 100
_LEAST_DETECTIONS = 200
_MODELS = {
    "detect": ("yolov8n", False),
    "segment": ("yolov8n-seg", False),
    "pose": ("yolov8n-pose", False),
    "classify": ("yolov8n-cls", False),
    "detect-final": ("yolov10n", True),
    "segment-final": ("yolo26n-seg", True),
    "pose-final": ("yolo26n-pose", True),
}
_RECT = "segment-rect"
_SIZES = {"classify": (224, 224), "detect-wide": (384, 256), "detect-large": (640, 640)}
_CASES = (*_MODELS, "detect-wide", "detect-large", _RECT)
_SETTINGS = ((0.25, 0.7, 300), (0.4, 0.5, 300), (0.3, 0.9, 50))


def _ask(program: str, *arguments: str, work: Path) -> None:
    """Run a program of ours with ultralytics' interpreter; it writes its settings and files into `work` alone."""
    surroundings = os.environ | {"YOLO_CONFIG_DIR": str(work), "YOLO_OFFLINE": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [PYTHON, str(HERE / program), *arguments],
        cwd=work,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("architectures")
    sample = islice(
        chain(*(sorted((PICTURES / kind).glob("0[01]*.jpg"))[::3] for kind in ("banana", "polyp", "hand"))), 16
    )
    plan = {
        "size": 320,
        "pictures": [str(file) for file in sample],
        "models": [
            {"name": name, "architecture": architecture, "end_to_end": final}
            for name, (architecture, final) in _MODELS.items()
        ],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    _ask("architectures.py", str(folder), str(folder / "plan.json"), work=folder)
    return folder


def _pictures(work: Path) -> Iterator[Path]:
    """Yield drawn pictures, odd ones among them, and the photographs that the package brings."""
    for kind, pattern in (("polyp", "0[0-4]*.jpg"), ("hand", "0[0-3]*.jpg"), ("banana", "[!0]*")):
        yield from sorted((PICTURES / kind).glob(pattern))
    _ask_where(work)
    yield from (Path(line) for line in (work / "assets.txt").read_text().splitlines())


def _ask_where(work: Path) -> None:
    program = "import pathlib, ultralytics.utils as u; print(*sorted(pathlib.Path(u.ASSETS).glob('*.jpg')), sep='\\n')"
    done = subprocess.run([PYTHON, "-c", program], cwd=work, capture_output=True, text=True, check=True)
    (work / "assets.txt").write_text(done.stdout)


def _reference(model: Path, task: str, size: tuple[int, int], files: list[Path], *, rect: bool) -> dict[str, Any]:
    work = model.parent
    questions = [
        {"file": str(file), "confidence": confidence, "iou": iou, "max_detections": most}
        for file, (confidence, iou, most) in zip(files, cycle(_SETTINGS), strict=False)
    ]
    question, answer = work / "questions.json", work / "answers.json"
    question.write_text(
        json.dumps({"model": str(model), "task": task, "size": size, "rect": rect, "pictures": questions})
    )
    _ask("reference.py", str(question), str(answer), work=work)
    said: dict[str, Any] = json.loads(answer.read_text())
    return said


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", _CASES)
def test_same_answers_as_installed_ultralytics(case: str, models: Path) -> None:
    size = _SIZES.get(case, (320, 320))
    task = case.partition("-")[0]
    model = models / (case if case in _MODELS else task) / "model.onnx"
    files = list(_pictures(models))
    reference = _reference(model, task, size, files, rect=case == _RECT)
    card = ultralytics_card(model, size).model_copy(update={"rect": case == _RECT})
    assert card.end_to_end == case.endswith("final")
    ours, tally = load(model, card), Tally()
    for file, one in zip(files, reference["pictures"], strict=True):
        (answer,) = ours.answer([ours.head.prepare(decode(file))], [asked(one)])
        compare({**one, "classes": card.classes}, answer, tally)
    print(f"{case} (ultralytics {reference['ultralytics']}): {tally}")
    assert not tally.problems
    assert tally.pictures >= _LEAST_PICTURES
    assert task == "classify" or tally.reference >= _LEAST_DETECTIONS
