"""`sightline models` on a store that is a folder."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from schemas.errors import ConfigurationError, ModelError
from schemas.modelcard import CARD_FILE, Task
from sightline.cli.main import exit_code
from sightline.cli.models_activate import _check_options
from sightline.cli.pipelines import load_definition
from sightline.cli.trial import choose_role, role_for
from sightline.runtime.settings import Settings
from tests.models import always_nan, classifier, detector, save_model
from tests.unit.models.samples import make_card

# Runs a command; returns its exit code, what it printed, and the last line of what it said beside that.
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("SIGHTLINE_OBJECTS_URL", f"file://{tmp_path}/objects")
    monkeypatch.setenv("SIGHTLINE_MODELS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SIGHTLINE_WORKER_DEVICE", "cpu")
    # Each command sets up the log anew, for the standard error of this test.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = exit_code(["models", *arguments])
        printed, said = capsys.readouterr()
        return code, printed, said.splitlines()[-1] if said else ""

    return call


def _folder(folder: Path, version: str, model: ModelProto | bytes | None = None, **card: Any) -> str:
    content = detector(boxes=((16, 16, 10 + int(version), 20),)) if model is None else model
    return str(save_model(folder / version, content, **{"name": "shapes", "version": version, **card}))


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_models_are_added_listed_and_shown(run: Run, tmp_path: Path) -> None:
    paths = [_folder(tmp_path, version) for version in ("1", "2")]
    added = [_lines(run("add", path, "--json", "--pipeline", "detect")[1])[0] for path in paths]
    assert [(entry["version"], entry["added"]) for entry in added] == [("1", True), ("2", True)]
    one, two = (entry["digest"] for entry in added)
    assert _lines(run("add", paths[0], "--json")[1])[0] == {**added[0], "added": False}
    code, _, said = run("add", paths[1], "--version", "1")
    assert (code, said.endswith("a version never changes")) == (2, True)

    listed = _lines(run("list", "--json")[1])
    assert [(entry["version"], entry["digest"], entry["task"]) for entry in listed] == [
        ("1", one, "detect"), ("2", two, "detect"),
    ]  # fmt: skip
    assert one[:12] in run("list")[1]
    assert run("show", one[:10])[1].startswith(f"# digest: {one}\nname: shapes\nversion: '1'\n")
    assert _lines(run("show", "shapes@2", "--json")[1])[0]["digest"] == two
    assert "may be one of shapes@1" in run("show", "shapes")[2]
    assert "model_missing" in run("show", "shapes@3")[2]


def test_what_is_damaged_is_found(run: Run, tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        run("add", _folder(tmp_path, version))
    assert run("verify", "--all")[0] == 0
    one, two, _ = (next((tmp_path / "objects/models/shapes" / version).iterdir()) for version in ("1", "2", "3"))
    (one / "model.onnx").write_bytes(b"damaged")
    (two / CARD_FILE).write_text("name: [")
    code, printed, _ = run("verify", "--all", "--json")
    assert code == 1
    assert {entry["version"]: entry["ok"] for entry in _lines(printed)} == {"1": False, "2": False, "3": True}
    code, printed, _ = run("verify", "shapes@1")
    assert code == 1
    assert printed.startswith(
        "damaged  shapes@1: model.onnx: model_digest_mismatch: is not the file of which the card speaks"
    )
    assert run("verify", "shapes@3")[0] == 0
    # A damaged card hides no other model.
    code, printed, said = run("list", "--json")
    assert [entry["version"] for entry in _lines(printed)] == ["1", "3"]
    assert said.startswith("warning: ")


def test_a_card_written_by_hand_completes_weights_that_say_nothing(run: Run, tmp_path: Path) -> None:
    weights = tmp_path / "net.onnx"
    weights.write_bytes(detector().SerializeToString())
    assert "model_card_missing" in run("add", str(weights))[2]
    card = tmp_path / "mine.yaml"
    card.write_text("task: detect\nclasses: [a, b]\ninput_wh: [64, 64]\nlicence: MIT\n")
    assert run("add", str(weights), "--card", str(card), "--name", "mine", "--version", "1")[0] == 0
    shown = tmp_path / "shown.yaml"
    shown.write_text(run("show", "mine")[1])
    assert "is there already" in run("add", str(weights), "--card", str(shown))[1]


@pytest.mark.parametrize(
    ("model", "card", "code"),
    [
        (classifier(), {"task": "classify"}, "model_task_wrong"),
        (always_nan(), {"task": "classify"}, "model_output_invalid"),
        (detector(classes=3), {}, "model_shape_wrong"),
        (b"\x08\x07truncated", {}, "model_unreadable"),
    ],
)
def test_wrong_models_are_not_added(
    run: Run, tmp_path: Path, model: ModelProto | bytes, card: dict[str, Any], code: str
) -> None:
    path = _folder(tmp_path, "1", model, **card)
    options = ("--pipeline", "detect") if code == "model_task_wrong" else ()
    result, _, said = run("add", path, *options)
    assert (result, code in said) == (2, True)
    assert run("list", "--json")[1] == ""
    if code in {"model_output_invalid", "model_shape_wrong"}:
        assert run("add", path, "--force")[0] == 0


def test_a_folder_whose_weights_are_not_those_of_its_card_is_not_added(run: Run, tmp_path: Path) -> None:
    path = _folder(tmp_path, "1")
    with Path(path, "model.onnx").open("ab") as file:
        file.write(b"x")
    code, _, said = run("add", path, "--force")
    assert (code, "model_digest_mismatch" in said) == (2, True)


@pytest.mark.parametrize("arguments", [["verify"], ["verify", "shapes", "--all"]])
def test_verify_wants_one_model_or_all(run: Run, arguments: list[str]) -> None:
    code, _, said = run(*arguments)
    assert (code, "name one model" in said) == (2, True)


def test_a_pipeline_without_models_takes_none(run: Run, tmp_path: Path) -> None:
    for arguments in (("add", _folder(tmp_path, "1"), "--pipeline", "civic"), ("activate", "civic", "shapes@1")):
        code, _, said = run(*arguments)
        assert (code, said) == (2, "sightline: civic: this pipeline uses no models")
    assert "unknown pipeline" in run("activate", "nothing", "shapes@1")[2]


def test_roles_are_found_by_name_and_by_task() -> None:
    gesture, detect = (load_definition(name, Settings()) for name in ("gesture", "detect"))
    assert choose_role(detect, None) == "detector"
    assert choose_role(gesture, "classifier") == "classifier"
    for role in (None, "hand"):
        with pytest.raises(ConfigurationError, match="must be one of detector, classifier"):
            choose_role(gesture, role)
    landmarks = make_card(task=Task.LANDMARKS, input_wh=(42, 1))
    assert role_for(gesture, landmarks) == "classifier"
    assert role_for(gesture, make_card(role="classifier")) == "classifier"
    with pytest.raises(ModelError, match=r"is for detect; gesture wants detector .pose., classifier .landmarks."):
        role_for(gesture, make_card())


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (None, {"canary": 0.1, "promote": True}, "one change at a time"),
        (None, {"shadow": False, "promote": True}, "one change at a time"),
        (None, {"by": "source"}, "belongs to --canary"),
        (None, {"by": "source", "canary": 0.0}, "belongs to --canary"),
        ("shapes", {"promote": True}, "is not asked for"),
        ("shapes", {"shadow": False}, "is not asked for"),
    ],
)
def test_options_that_contradict_each_other(model: str | None, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        _check_options(model, **{"canary": None, "by": None, "shadow": None, "promote": False} | options)
