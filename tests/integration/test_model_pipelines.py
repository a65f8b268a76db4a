"""Workers with models: what they wait for, what they publish, and whom they blame."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from onnx import ModelProto

from schemas import topics
from schemas.alert import RULE_SETUP_WRONG
from schemas.headers import Headers
from tests import models
from tests.audit import assert_sound
from tests.integration.replaying import rows as replayed_rows
from tests.models import save_model
from tests.pictures import encode, headers, jpeg
from tests.quick import make_host
from tests.scenes import LEFT, RIGHT, SEEN, model_folders, polyp_model, put_in_force, put_models_in_force, store
from tests.world import World, wait_for

pytestmark = pytest.mark.services
WorldLike = Callable[[str], World]
# Grey padding would brighten a dark picture.
FRAGILE: dict[str, Any] = {"task": "classify", "preprocessing": {"resize": "stretch"}}
DARK = encode(".png", np.full((72, 96, 3), 2, np.uint8))


def _frames(count: int, source: str = "/c") -> list[tuple[bytes | None, Headers]]:
    return [(jpeg(n), headers(f"e{n}", source)) for n in range(count)]


def _change(world: World, **settings: Any) -> None:
    """Change the world's pipeline file, and make the topics that it asks for now."""
    file = Path(world.env["SIGHTLINE_PIPELINES_DIR"]) / f"{world.pipeline}.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text(encoding="utf-8")) | settings), encoding="utf-8")
    world.run("topics", "apply", world.pipeline, "--yes")


def test_without_a_model_a_worker_lives_waits_and_blames_nobody(world_like: WorldLike) -> None:
    world = world_like("gesture")
    worker = world.start_worker()
    sinks = [world.start_sink("postgres"), world.start_sink("objects")]
    published = world.publish(_frames(60))
    wait_for(lambda: "none is activated" in worker.get("/health/ready")[1], 30, "it says what it waits for")
    addresses = {role: store(world, folder) for role, folder in model_folders("gesture", world.folder).items()}
    put_in_force(world, addresses["detector"], "detector")
    wait_for(lambda: "classifier" in worker.get("/health/ready")[1], 30, "one role of two is not enough")
    assert worker.get("/health/live")[0] == 200
    assert not worker.ready()
    assert world.count(topics.results(world.pipeline)) == 0
    assert world.dead_letters() == []
    # A role that nobody has filled is a setup that somebody has to mend.
    wait_for(lambda: worker.metric("sightline_alerts_total", rule=RULE_SETUP_WRONG) >= 1, 30, "the alert")
    put_in_force(world, addresses["classifier"], "classifier")
    for process in (worker, *sinks):
        process.wait_ready(60)
    world.wait_for_rows(60)
    evidence = assert_sound(world, published)
    assert world.count_rows() == (60, 0)
    for result in evidence.topic_results:
        assert [model["role"] for model in result["models"]] == ["detector", "classifier"]
        assert result["summary"]["hand_count"] == 1


def test_the_form_for_hospital_systems_has_a_topic_of_its_own_and_none_of_replays(world_like: WorldLike) -> None:
    world = world_like("polyp")
    _change(world, emr=True)
    put_models_in_force(world, "polyp")
    world.start_worker()
    world.start_sink("postgres")
    world.publish(_frames(30))
    wait_for(lambda: len(world.read(topics.emr(world.pipeline))) >= 30, 60, "30 EMR messages")
    results = {result["result_id"]: result for result in world.results()}
    messages = world.read(topics.emr(world.pipeline))
    assert {dict(message.headers() or [])["ce_id"].decode() for message in messages} == set(results)  # type: ignore[union-attr]
    for message in messages:
        result = results[dict(message.headers() or [])["ce_id"].decode()]  # type: ignore[union-attr]
        assert json.loads(message.value() or b"") == {
            "detections": [{"bbox": SEEN[LEFT], "confidence": 0.9, "class": "polyp"}],
            "processed_at": result["processed_at"],
            "model_version": "test-polyp/1",
        }
        assert message.key() == b"/c"
    world.wait_for_rows(30)
    store(world, polyp_model(world.folder, "2", RIGHT))
    with make_host() as host:
        for name, version in (("same", 1), ("other", 2)):
            host.run(
                world, "replay", "start", world.pipeline, "--id", name, "--model", f"detector=test-polyp@{version}"
            )
    for name in ("same", "other"):
        wait_for(lambda name=name: len(replayed_rows(world, name)) == 30, 60, f"30 answers: {name}")  # type: ignore[misc]
    again, live = replayed_rows(world, "same"), replayed_rows(world, None)
    # What thresholds and rules digest is the same; that the model was named, and not activated, changes no number.
    assert again == live
    other = replayed_rows(world, "other")
    assert other.keys() == live.keys()
    assert {tuple(one["bbox"]) for body in other.values() for one in body["detections"]} == {tuple(SEEN[RIGHT])}
    assert {one["version"] for body in other.values() for one in body["models"]} == {"2"}
    assert world.count(topics.emr(world.pipeline)) == 30


def test_frames_have_settings_of_their_own(world_like: WorldLike) -> None:
    world = world_like("banana")
    put_models_in_force(world, "banana")
    asked = {
        "plain": {},
        "surer": {"ce_confidence": b"0.95"},
        "undrawn": {"ce_overlay": b"false"},
        "thin": {"ce_keep": b"false", "ce_overlay": b"false"},
        "too low": {"ce_confidence": b"0.05"},
        "no number": {"ce_iou": b"half"},
    }
    world.start_all()
    published = world.publish((jpeg(1), [*headers(name, "/c"), *own.items()]) for name, own in asked.items())
    world.wait_for_rows(len(asked))
    evidence = assert_sound(world, published)
    found = {result["event_id"]: result for result in evidence.topic_results}
    assert {name: len(result["detections"]) for name, result in found.items()} == {
        "plain": 1, "surer": 0, "undrawn": 1, "thin": 1,
    }  # fmt: skip
    kinds = {name: [one["kind"] for one in result.get("artifacts", [])] for name, result in found.items()}
    assert kinds == {
        "plain": ["picture", "overlay"], "surer": ["picture", "overlay"], "undrawn": ["picture"], "thin": [],
    }  # fmt: skip
    assert found["plain"]["settings_digest"] == found["undrawn"]["settings_digest"]
    assert found["plain"]["settings_digest"] != found["surer"]["settings_digest"]
    assert Counter((letter.code, letter.stage) for letter in evidence.topic_letters) == {
        ("setting_invalid", "frame"): 2
    }


@pytest.mark.parametrize(
    ("model", "code"),
    [(models.failing_where_dark(), "inference_failed"), (models.nan_where_dark(), "inference_invalid")],
    ids=["fails", "not finite"],
)
def test_a_picture_that_the_model_fails_on_leaves_and_hurts_nobody(
    model: ModelProto, code: str, world_like: WorldLike
) -> None:
    world = world_like("classify")
    address = store(world, save_model(world.folder / "fragile", model, None, **FRAGILE))
    put_in_force(world, address, "classifier")
    frames = _frames(80)
    for place in (5, 40, 41, 79):
        frames[place] = (DARK, headers(f"dark{place}", "/c", "image/png"))
    published = world.publish(frames)  # before the worker starts, so that batches are full
    worker, *_ = world.start_all()
    world.wait_for_rows(80)
    evidence = assert_sound(world, published)
    assert world.count_rows() == (76, 4)
    assert Counter((letter.code, letter.stage) for letter in evidence.topic_letters) == {(code, "infer"): 4}
    assert all(letter.value == DARK for letter in evidence.topic_letters)
    assert worker.metric("sightline_batch_records_count") < 40


def test_the_same_bytes_again_are_answered_from_the_cache(world_like: WorldLike) -> None:
    world = world_like("deepfake")
    put_models_in_force(world, "deepfake")
    worker, *_ = world.start_all()
    published = world.publish(_frames(10))
    world.wait_for_rows(10)
    published += world.publish(_frames(10, "/other"))
    world.wait_for_rows(20)
    evidence = assert_sound(world, published)
    by_source = {
        source: {one["event_id"]: one for one in evidence.topic_results if one["source"] == source}
        for source in ("/c", "/other")
    }
    for event, result in by_source["/other"].items():
        assert result["cached_from"] == by_source["/c"][event]["result_id"]
        assert result["classification"] == by_source["/c"][event]["classification"]
        assert "cached_from" not in by_source["/c"][event]
    assert worker.metric("sightline_result_cache_total", outcome="hit") == 10
    assert worker.metric("sightline_result_cache_total", outcome="miss") == 10


def test_junk_is_answered_without_a_model(world_like: WorldLike) -> None:
    world = world_like("gesture")
    put_models_in_force(world, "gesture")
    world.start_all()
    frames = _frames(20)
    frames[::4] = [(DARK, headers(f"dark{n}", "/c", "image/png")) for n in range(5)]
    published = world.publish(frames)
    world.wait_for_rows(20)
    evidence = assert_sound(world, published)
    assert world.count_rows() == (20, 0)
    for result in evidence.topic_results:
        skipped = result["event_id"].startswith("dark")
        assert result["kind"] == ("skipped" if skipped else "frame")
        assert ("detections" in result) is not skipped


def test_a_model_from_a_file_needs_no_activation(world_like: WorldLike) -> None:
    world = world_like("polyp")
    (folder,) = model_folders("polyp", world.folder).values()
    world.start("worker", world.pipeline, "--model", f"detector={folder}").wait_ready()
    world.publish(_frames(10))
    wait_for(lambda: len(world.results()) == 10, 60, "10 results")
    assert {result["models"][0]["name"] for result in world.results()} == {"test-polyp"}


def test_a_device_that_is_not_there_ends_the_worker(world_like: WorldLike) -> None:
    world = world_like("polyp")
    put_models_in_force(world, "polyp")
    worker = world.start_worker({"SIGHTLINE_WORKER_DEVICE": "cuda"})
    wait_for(lambda: worker.process.poll() is not None, 60, "the end")
    assert worker.process.returncode == 2
    assert "model_device_unavailable" in worker.log.read_text(encoding="utf-8").splitlines()[-1]
