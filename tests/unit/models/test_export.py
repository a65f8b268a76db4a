"""Judging exported variants: with real models on our side, and a stand-in for what the export environment does."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto, helper

from processors.infer.engine import EngineOptions
from processors.infer.loading import open_model
from processors.infer.model import LoadedModel
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import ModelCard, load_card
from sightline.models import export as module
from sightline.models.engines import build, shapes
from sightline.models.export import Exported, ExportJob, Machine, VariantResult, export
from sightline.models.exporting.environment import Environment
from sightline.models.gate import FEWEST_INT8_PICTURES
from sightline.models.local import LocalModel, open_folder
from sightline.models.report import JSON_FILE, PAGE_FILE, write_report
from sightline.models.variants import Identity, Variant, folder_name, write_model_folder
from tests.models import BOXES, Box, always_nan, detector
from tests.unit.models.labelled import LEVELS, NAMES, grey, write_detections
from tests.unit.models.samples import ULTRALYTICS, make_card

_SIDE = 64
_METADATA = {**ULTRALYTICS, "imgsz": f"[{_SIDE}, {_SIDE}]", "names": str(dict(enumerate(NAMES)))}
_IDENTITY = Identity("shapes", "1", None, "5" * 64)
_ENVIRONMENT = Environment(Path("python"), "8.4.190")
_NO_ERROR: Mapping[str, str] = {}


def _exported(model: ModelProto, path: Path, **metadata: str) -> str:
    helper.set_model_props(model, {**_METADATA, **metadata})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return str(path)


def _line(level: int, boxes: Sequence[Box] = BOXES) -> str:
    """Write what the original says of a grey picture: the same as `detector()`."""
    corners = [[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h in boxes]
    line = {"wh": [_SIDE, _SIDE], "boxes": corners, "confidences": [level / 255] * len(boxes), "classes": [0, 1]}
    return json.dumps(line) + "\n"


class _Elsewhere:
    """Does what the export environment would: puts exported files and recordings into the work folder."""

    def __init__(self) -> None:
        self.models: dict[str, ModelProto] = {"onnx": detector(size="side")}
        self.errors: Mapping[str, str] = _NO_ERROR
        self.answer: dict[str, Any] = {}
        self.request: dict[str, Any] = {}

    def __call__(self, _: Environment, request: dict[str, Any], folder: Path, __: float) -> dict[str, Any]:
        self.request = request
        variants: dict[str, Any] = {}
        for name in request["variants"]:
            quantized = {"args": "{'quantize': 8}"} if name == "onnx-int8" else {}
            if name in self.errors:
                variants[name] = {"error": {"kind": "RuntimeError", "message": self.errors[name]}}
            elif name in self.models:
                path = folder / name / "model.onnx"
                variants[name] = {"path": _exported(self.models[name], path, **quantized)}
        recordings = {one["name"]: self._record(one) for one in request["recordings"]}
        described = {"task": "detect", "ultralytics": "8.4.190", "torch": "2.15.0", "size": _SIDE}
        return {**described, "variants": variants, "recordings": recordings, **self.answer}

    @staticmethod
    def _record(recording: dict[str, Any]) -> dict[str, Any]:
        text = "".join(_line(LEVELS[int(Path(path).stem) % len(LEVELS)]) for path in recording["pictures"])
        Path(recording["path"]).write_text(text)
        return {"path": recording["path"]}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> _Elsewhere:
    stand_in = _Elsewhere()
    monkeypatch.setattr(module, "run_script", stand_in)
    monkeypatch.setattr(module, "_SPEED_SECONDS", 0.0)
    return stand_in


@pytest.fixture
def job(tmp_path: Path) -> ExportJob:
    (tmp_path / "best.pt").write_bytes(b"weights")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, level in enumerate(LEVELS):
        (folder / f"{number}.png").write_bytes(grey(level))
    return ExportJob(tmp_path / "best.pt", (Variant.ONNX,), _IDENTITY, tuple(sorted(folder.iterdir())))


def _load(card: ModelCard, weights: Path, _: bool) -> LoadedModel:  # noqa: FBT001 -- as Load has it
    return open_model(card, weights, None, EngineOptions(device="cpu"))


def _machine(build_engine: Callable[[LocalModel], Path] | None = None) -> Machine:
    ticks = iter(range(10**9))
    return Machine(_load, build_engine or (lambda _: pytest.fail("nothing to compile")), lambda: next(ticks) / 1000)


def _run(job: ExportJob, tmp_path: Path, machine: Machine | None = None) -> Exported:
    work = tmp_path / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return export(job, _ENVIRONMENT, work, machine or _machine())


def _failed(result: VariantResult) -> list[str]:
    return [finding.name for finding in result.verdict.findings if not finding.passed]


def test_an_equal_variant_passes_and_becomes_a_folder(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    (result,) = _run(job, tmp_path).results
    assert result.passed
    assert result.provider == "CPUExecutionProvider"
    assert [speed.batch for speed in result.speeds] == [1, 4]
    assert elsewhere.request["recordings"][0]["pictures"] == [str(path) for path in job.pictures]
    assert result.model is not None
    folder = tmp_path / "out" / folder_name(_IDENTITY, Variant.ONNX)
    write_model_folder(result.model, {"mAP50": 0.123456}, folder)
    card = open_folder(folder).card
    assert (card.name, card.version, card.source_digest) == ("shapes", "1", "5" * 64)
    assert card.licence.startswith("AGPL")
    assert card.metrics == {"mAP50": 0.1235}


def test_a_variant_that_puts_boxes_elsewhere_fails(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    elsewhere.models["onnx-fp16"] = detector([(x + 1, y, w, h) for x, y, w, h in BOXES], size="side")
    baseline, half = _run(replace(job, variants=(Variant.ONNX_FP16,)), tmp_path).results
    assert baseline.passed
    assert not half.passed
    assert _failed(half) == ["pictures that differ", "smallest overlap (IoU) of boxes"]
    assert [picture.path for picture in half.verdict.worst] == list(job.pictures)
    assert len(half.verdict.worst[0].problems) == 2


def test_nothing_compared_is_nothing_shown(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    for path in job.pictures:
        path.write_bytes(grey(5))  # below any threshold
    empty = json.dumps({"wh": [_SIDE, _SIDE], "boxes": [], "confidences": [], "classes": []}) + "\n"

    def record(recording: dict[str, Any]) -> dict[str, Any]:
        Path(recording["path"]).write_text(empty * len(job.pictures))
        return {"path": recording["path"]}

    elsewhere._record = record  # type: ignore[method-assign]
    (result,) = _run(job, tmp_path).results
    assert _failed(result) == ["detections of the original to compare with"]


@pytest.fixture
def labelled(job: ExportJob, tmp_path: Path) -> ExportJob:
    levels = [LEVELS[number % len(LEVELS)] for number in range(FEWEST_INT8_PICTURES)]
    data = write_detections(tmp_path / "data", levels=levels)
    pictures = tuple(sorted((tmp_path / "data" / "images" / "val").iterdir()))
    return replace(job, variants=(Variant.ONNX_INT8,), data=data, labelled=pictures, calibration=((pictures[0], ""),))


def test_int8_is_judged_by_what_it_is_worth(elsewhere: _Elsewhere, labelled: ExportJob, tmp_path: Path) -> None:
    # A fifth of a pixel moves boxes by less than the tenth that is allowed.
    elsewhere.models["onnx-int8"] = detector([(x + 0.2, y, w, h) for x, y, w, h in BOXES], size="side")
    _, result = _run(labelled, tmp_path).results
    assert result.passed
    assert result.model is not None
    assert result.model.card.precision == "int8"
    assert result.model.card.version == "1-int8"
    assert result.verdict.metrics["mAP50"] == pytest.approx(1.0)
    assert elsewhere.request["calibration"] == [[str(labelled.labelled[0]), ""]]


def test_int8_that_is_worth_less_fails(elsewhere: _Elsewhere, labelled: ExportJob, tmp_path: Path) -> None:
    elsewhere.models["onnx-int8"] = detector([BOXES[0], (8, 56, 6, 6)], size="side")
    _, result = _run(labelled, tmp_path).results
    assert len(_failed(result)) == 2
    assert _failed(result)[0] == "mAP50"
    moved = [(x + 3, y, w, h) for x, y, w, h in BOXES]  # still found at IoU 0.5, but not at 0.9
    elsewhere.models["onnx-int8"] = detector(moved, size="side")
    _, result = _run(labelled, tmp_path).results
    (failed,) = _failed(result)
    assert "found again, at IoU >= 0.9" in failed


def test_too_few_pictures_to_judge_int8(elsewhere: _Elsewhere, labelled: ExportJob, tmp_path: Path) -> None:
    elsewhere.models["onnx-int8"] = detector(size="side")
    _, result = _run(replace(labelled, labelled=labelled.labelled[1:]), tmp_path).results
    assert _failed(result) == ["pictures that were not used for calibration"]


def test_one_variant_that_cannot_be_made_leaves_the_others(
    elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path
) -> None:
    elsewhere.errors = {"coreml": "No module named 'coremltools'"}
    elsewhere.models["onnx-fp16"] = always_nan(_SIDE)
    fp32, half, coreml = _run(replace(job, variants=(Variant.ONNX_FP16, Variant.COREML)), tmp_path).results
    assert fp32.passed
    assert (half.passed, half.error) == (False, half.error)
    assert half.error is not None
    assert "model_shape_wrong" in half.error
    assert coreml.error == "RuntimeError: No module named 'coremltools'"


def test_an_original_that_cannot_be_used_is_an_error(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    cases = (
        ({"error": {"kind": "EOFError", "message": "Ran out of input"}}, ModelCode.UNREADABLE),
        ({"task": "obb"}, ModelCode.TASK_WRONG),
        ({"variants": {"onnx": {"error": {"kind": "ValueError", "message": "no"}}}}, ModelCode.UNSUPPORTED),
    )
    for answer, code in cases:
        elsewhere.answer = answer
        with pytest.raises(ModelError) as caught:
            _run(job, tmp_path)
        assert caught.value.code is code


def test_core_ml_is_compared_by_its_interface(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    package = tmp_path / "model.mlpackage"
    package.mkdir()
    (package / "weights").write_bytes(b"12345")
    interface = {
        "inputs": [{"name": "image", "kind": "image", "wh": [_SIDE, _SIDE]}],
        "outputs": [{"name": "y", "kind": "float32", "shape": [1, 6, 84]}],
        "metadata": {"names": str(dict(enumerate(NAMES)))},
    }
    asked = replace(job, variants=(Variant.COREML,))
    for changes, wrong in (
        ({}, []),
        ({"outputs": [{"name": "y", "kind": "float32", "shape": [1, 7, 84]}]}, ["numbers an object"]),
        ({"inputs": [{"name": "image", "kind": "image", "wh": [32, 32]}]}, ["input"]),
        ({"metadata": {"names": "{0: 'other'}"}}, ["classes"]),
    ):
        fp32 = {"path": _exported(detector(size="side"), tmp_path / "kept" / "model.onnx")}
        coreml = {"path": str(package), "interface": {**interface, **changes}}
        elsewhere.answer = {"variants": {"onnx": fp32, "coreml": coreml}}
        result = _run(asked, tmp_path).results[1]
        assert _failed(result) == wrong
        assert result.passed == (not wrong)
    assert result.size_bytes == 5
    assert result.note is not None
    assert "Not run" in result.note


def test_tensorrt_has_to_run_on_tensorrt(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    engine = tmp_path / "engine.onnx"
    engine.write_bytes(b"compiled")
    _, result = _run(replace(job, variants=(Variant.TENSORRT,)), tmp_path, _machine(lambda _: engine)).results
    assert elsewhere.request["variants"] == ["onnx"]
    assert result.error is not None
    assert "model_device_unavailable" in result.error
    assert "CPUExecutionProvider" in result.error


def test_tensorrt_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.models.engines.engine_file", lambda *_: None)
    card = make_card()
    with pytest.raises(ModelError) as caught:
        build(LocalModel(card, {"model.onnx": tmp_path / "model.onnx"}), tmp_path)
    assert caught.value.code is ModelCode.DEVICE_UNAVAILABLE


def test_tensorrt_shapes_are_height_before_width() -> None:
    card = make_card(input_wh=(640, 480))
    assert shapes(card) == ("1x3x480x640", "16x3x480x640", "16x3x480x640")
    assert shapes(card.model_copy(update={"rect": True}))[0] == "1x3x32x32"


def test_the_report_is_two_files_without_any_other(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    elsewhere.models["onnx-fp16"] = detector([(x + 1, y, w, h) for x, y, w, h in BOXES], size="side")
    exported = _run(replace(job, variants=(Variant.ONNX, Variant.ONNX_FP16)), tmp_path)
    page = write_report(exported, job, tmp_path / "report", exported.results[:1])
    assert sorted(path.name for path in page.parent.iterdir()) == [PAGE_FILE, JSON_FILE]
    facts = json.loads((page.parent / JSON_FILE).read_text())
    assert facts["original"] == {
        "file": "best.pt", "sha256": "5" * 64, "task": "detect", "ultralytics": "8.4.190", "torch": "2.15.0"
    }  # fmt: skip
    first, second = facts["variants"]
    assert (first["passed"], first["added"], first["size_ratio"]) == (True, True, 1.0)
    assert (second["passed"], second["added"]) == (False, False)
    assert second["speeds"][0]["run_ratio"] > 0
    assert second["worst"][0]["picture"] == "0.png"
    text = page.read_text()
    # Two pictures, side by side, for each of the three, of each of the two variants.
    assert text.count("data:image/jpeg;base64,") == 2 * 3 * 2
    assert "http" not in text
    assert str(tmp_path) not in text


def test_a_card_that_was_written_can_be_read(elsewhere: _Elsewhere, job: ExportJob, tmp_path: Path) -> None:
    assert elsewhere.errors == {}
    (result,) = _run(job, tmp_path).results
    assert result.model is not None
    written = write_model_folder(result.model, {}, tmp_path / "out")
    assert load_card((tmp_path / "out" / "card.yaml").read_text(), "card.yaml") == written
