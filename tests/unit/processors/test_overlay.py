import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from processors import overlay
from processors.decode.pictures import Pixels
from processors.draw import draw_overlay
from processors.outcome import Success
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.frame import FrameSettings
from schemas.pipeline import MediaType
from tests.unit.processors import samples
from tests.unit.processors.lineups import context, definition, models_of

WITH_MODELS = ["banana", "segment", "detect", "pose", "gesture", "polyp", "deepfake", "classify"]
GREY = np.full((72, 96, 3), 128, np.uint8)
GREY[::8] = 90  # enough texture for the gate
NOTHING = FrameSettings()
DRAW = FrameSettings(overlay=True)
PHOTO = samples.encode(samples.photo(96, 72), MediaType.JPEG)


def run(pipeline: str, folder: Path, data: bytes = PHOTO, asked: FrameSettings = NOTHING) -> Success:
    frame = samples.frame(data, settings=asked)
    (outcome,) = process([frame], context(load_builtin(pipeline), models_of(pipeline, folder)))
    assert isinstance(outcome, Success)
    return outcome


def drawn(outcome: Success) -> Pixels:
    (artifact,) = [one for one in outcome.artifacts if one.kind == "overlay"]
    return np.asarray(cv2.imdecode(np.frombuffer(artifact.data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("pipeline", WITH_MODELS)
def test_an_overlay_is_an_artifact_named_by_its_own_hash(pipeline: str, tmp_path: Path) -> None:
    outcome = run(pipeline, tmp_path, asked=DRAW)
    (artifact,) = [one for one in outcome.artifacts if one.kind == "overlay"]
    assert artifact.sha256 == hashlib.sha256(artifact.data).hexdigest()
    assert artifact.key == f"overlays/{artifact.sha256[:2]}/{artifact.sha256}.jpg"
    assert artifact.media_type == "image/jpeg"
    references = {one.kind: one for one in outcome.result.artifacts or ()}
    assert (references["overlay"].key, references["overlay"].size_bytes) == (artifact.key, len(artifact.data))
    assert drawn(outcome).shape == (72, 96, 3)
    assert "draw" in (outcome.result.timings_ms or {})


def test_the_same_picture_gives_the_same_overlay(tmp_path: Path) -> None:
    one, two = (run("banana", tmp_path / name) for name in "ab")
    assert [artifact.key for artifact in one.artifacts] == [artifact.key for artifact in two.artifacts]


def test_a_box_lies_where_the_detection_is(tmp_path: Path) -> None:
    outcome = run("detect", tmp_path, samples.encode(GREY, MediaType.PNG), DRAW)
    changed = np.abs(drawn(outcome).astype(int) - GREY).max(axis=2) > 40
    assert outcome.result.detections is not None
    x1, y1, x2, y2 = (round(side) for side in outcome.result.detections[0].bbox)
    for side in (changed[y1 - 1 : y1 + 2, x1:x2].any(axis=0), changed[y2 - 1 : y2 + 2, x1:x2].any(axis=0)):
        assert side.mean() > 0.9
    assert not changed[y2 + 4 :].any()
    assert not changed[:, x2 + 40 :].any()


def test_the_picture_is_turned_upright_before_it_is_drawn_on(tmp_path: Path) -> None:
    data = samples.oriented(samples.photo(96, 72), MediaType.JPEG, 6)
    outcome = run("polyp", tmp_path, data, DRAW)
    assert outcome.result.image is not None
    assert (outcome.result.image.width, outcome.result.image.height) == (72, 96)
    assert drawn(outcome).shape == (96, 72, 3)


@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_every_format_can_be_drawn_on(media_type: MediaType, tmp_path: Path) -> None:
    outcome = run("segment", tmp_path, samples.encode(samples.photo(96, 72), media_type), DRAW)
    assert drawn(outcome).shape == (72, 96, 3)


@pytest.mark.parametrize(
    ("pipeline", "asked", "kinds"),
    [
        ("banana", NOTHING, ["picture", "overlay"]),
        ("banana", FrameSettings(overlay=False), ["picture"]),
        ("banana", FrameSettings(overlay=False, keep=False), []),
        ("banana", FrameSettings(keep=False), ["overlay"]),
        ("polyp", NOTHING, []),
        ("polyp", DRAW, ["overlay"]),
    ],
)
def test_a_frames_own_wish_goes_before_the_pipelines(
    pipeline: str, asked: FrameSettings, kinds: list[str], tmp_path: Path
) -> None:
    outcome = run(pipeline, tmp_path, asked=asked)
    assert [one.kind for one in outcome.artifacts] == kinds
    assert [one.kind for one in outcome.result.artifacts or ()] == kinds


def test_nothing_is_drawn_where_nobody_looked(tmp_path: Path) -> None:
    dark = samples.encode(np.zeros((72, 96, 3), np.uint8), MediaType.PNG)
    rejecting = context(definition("polyp", gate="reject"), models_of("polyp", tmp_path))
    (skipped,) = samples.successes(process([samples.frame(dark, settings=DRAW)], rejecting))
    assert (skipped.result.kind, skipped.artifacts) == ("skipped", ())
    (scored,) = samples.successes(process([samples.frame(PHOTO, settings=DRAW)], samples.context()))
    assert [one.kind for one in scored.artifacts] == ["picture"]


def test_hands_are_labelled_by_what_the_pipeline_says_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[object] = []

    def noting(*arguments: object, **options: object) -> bytes:
        labels.append(options["labels"])
        return draw_overlay(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(overlay, "draw_overlay", noting)
    outcome = run("gesture", tmp_path, asked=DRAW)
    run("polyp", tmp_path, asked=DRAW)
    assert outcome.result.summary is not None
    (hand,) = outcome.result.summary["hands"]
    said = f"{hand['gesture']} {hand['gesture_confidence']:.2f}, {hand['finger_count']} fingers"
    assert labels == [[said], None]
