"""What can be shown, and that the committed pictures get what the demo expects of them."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from processors.budget import PixelBudget
from processors.examine import Known, examine
from processors.gate import Decision
from processors.infer.lineup import Lineup
from processors.outcome import Context
from processors.pipelines import builtin_names, load_builtin
from schemas.errors import ConfigurationError, InputError
from schemas.frame import Origin, frame_headers, parse_frame
from sightline.demo import exhibits as module
from sightline.demo.exhibits import Exhibit, find_exhibits, load_samples, note_on
from sightline.demo.sample import Sample, Seen, camera_of, is_guest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PICTURES = Path(__file__).parents[3] / "demo_models" / "samples"
MODELS = ("demo-banana", "demo-polyp", "demo-hand", "demo-gesture", "demo-deepfake")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the cards of all demo models, and the committed pictures."""
    for name in MODELS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.yaml").touch()
    (tmp_path / "samples").symlink_to(PICTURES)
    return tmp_path


def test_every_pipeline_that_needs_models_is_shown(folder: Path) -> None:
    exhibits = find_exhibits(folder)
    wanted = {name: set(load_builtin(name).models) for name in builtin_names() if load_builtin(name).models}
    assert {exhibit.pipeline: set(exhibit.models) for exhibit in exhibits} == wanted
    assert note_on(exhibits) is None


def test_a_folder_that_lacks_something_is_wrong_use(folder: Path) -> None:
    shutil.rmtree(folder / "demo-hand")
    with pytest.raises(ConfigurationError, match=r"--models: .*demo-hand/card.yaml"):
        find_exhibits(folder)


def test_without_a_checkout_there_is_nothing_and_a_line_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OF_A_CHECKOUT", tmp_path / "demo_models")
    assert find_exhibits(None) == ()
    note = note_on(())
    assert note is not None
    assert "banana, classify, deepfake" in note
    assert "--models FOLDER" in note


def test_a_checkout_shows_what_it_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "demo-gesture")
    monkeypatch.setattr(module, "_OF_A_CHECKOUT", folder)
    exhibits = find_exhibits(None)
    assert len(exhibits) == 7
    assert (note_on(exhibits) or "").startswith("not shown: gesture;")


def test_without_onnx_runtime_nothing_is_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setattr(module, "_OF_A_CHECKOUT", folder)
    assert find_exhibits(None) == ()
    with pytest.raises(ConfigurationError, match="ONNX Runtime"):
        find_exhibits(folder)


def test_a_folder_without_pictures_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no pictures"):
        load_samples(Exhibit("polyp", {}, tmp_path))


def _ask(sample: Sample) -> str:
    """Return the code that a frame fails with, or what the gate decides of it."""
    headers = frame_headers(event_id="1", source="/a", media_type=sample.media_type, captured_at=NOW)
    context = Context(load_builtin(sample.pipeline), lambda: NOW, time.perf_counter, PixelBudget(8_000_000))
    origin = Origin(f"frames.{sample.pipeline}", 0, 0)
    try:
        examined = examine(
            parse_frame(sample.value, sample.alter(headers), origin, round(NOW.timestamp() * 1000)), Lineup(), context
        )
    except InputError as error:
        return error.code.value
    assert not isinstance(examined, Known)
    return examined.decision.value


@pytest.mark.parametrize("pipeline", [name for name in builtin_names() if load_builtin(name).models])
def test_pictures_pass_the_gate_that_they_should_pass_and_broken_ones_fail(pipeline: str, folder: Path) -> None:
    [exhibit] = [one for one in find_exhibits(folder) if one.pipeline == pipeline]
    samples = load_samples(exhibit)
    assert len(samples.photos) >= 8
    for photo in samples.photos:
        assert isinstance(photo.expected, Seen)
        assert (_ask(photo) == Decision.REJECT) == (photo.expected.kind == "skipped"), photo.name
    assert [_ask(broken) for broken in samples.broken] == [broken.expected for broken in samples.broken]


def test_only_the_gate_that_rejects_stops_the_dark_picture(folder: Path) -> None:
    stopped = {
        exhibit.pipeline: [photo.name for photo in load_samples(exhibit).photos if photo.expected != _seen(exhibit)]
        for exhibit in find_exhibits(folder)
    }
    assert {pipeline: names for pipeline, names in stopped.items() if names} == {"gesture": ["too-dark.jpg"]}


def _seen(exhibit: Exhibit) -> Seen:
    return Seen("frame", frozenset({"overlay", "picture"} if exhibit.pipeline == "banana" else {"overlay"}))


def test_the_committed_pictures_are_whole_and_small() -> None:
    files = [path for path in PICTURES.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {"banana", "polyp", "gesture", "deepfake"}
    assert sum(path.stat().st_size for path in files) < 1_500_000
    for path in files:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None, path
        assert min(picture.shape[:2]) >= 280, path


def test_cameras_are_ours_and_take_turns(folder: Path) -> None:
    for pipeline in ("civic", *(exhibit.pipeline for exhibit in find_exhibits(folder))):
        cameras = [camera_of(pipeline, number) for number in range(10)]
        assert not any(map(is_guest, cameras))
        assert cameras[0] == cameras[len(set(cameras))]
    assert is_guest("/me")
    assert not is_guest(None)
