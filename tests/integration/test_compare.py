"""`sightline replay compare` over rows that the sink wrote, with pictures from objects and from Kafka."""

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from infra.local.process import require_tool
from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.identity import promoted_id, sha256_hex
from schemas.replay import Replayed, replay_headers
from schemas.result import ArtifactReference, Detection, Image, OriginReference, Result
from sightline.cli.main import exit_code
from sinks.postgres.sink import PostgresSink
from sinks.protocol import SinkRecord
from tests.pictures import encode, headers, jpeg
from tests.unit.sinks.samples import make_result, record, result_record
from tests.world import Published, World

pytestmark = pytest.mark.services
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WIDTH, HEIGHT = 480, 360
CAMERAS = ("/c/north", "/c/south")
LOST_COLOUR = (0, 94, 213)  # blue, green, red of the page's charts


def found(name: str, left: float, confidence: float = 0.9) -> Detection:
    box = [left, 60.0, left + 100, 200.0]
    return Detection(class_name=name, class_id=len(name), confidence=confidence, bbox=box)


@dataclass
class Scene:
    """A world with live results of published frames. `answer` makes one more result of a frame."""

    world: World
    pictures: list[bytes]
    published: list[Published]

    def answer(self, number: int, **changes: Any) -> Result:
        place, data = self.published[number], self.pictures[number]
        sha256 = sha256_hex(data)
        image = Image(width=WIDTH, height=HEIGHT, media_type="image/jpeg", size_bytes=len(data), sha256=sha256)
        given: dict[str, Any] = {
            "pipeline": self.world.pipeline, "source": CAMERAS[number % 2], "event_id": f"e{number}",
            "captured_at": NOW + timedelta(minutes=number), "picture": f"frame {number}", "image": image,
            "origin": OriginReference(topic=place.topic, partition=place.partition, offset=place.offset),
            "detections": [found("ripe", 20), found("mature", 250)], "artifacts": None, "classification": None,
        }  # fmt: skip
        return make_result(number, **{**given, **changes})

    def store(self, *results: Result, others: tuple[SinkRecord, ...] = ()) -> None:
        sink = PostgresSink(self.world.engine, lambda: NOW)
        sink.store([sink.read(one) for one in (*map(result_record, results), *others)])

    def keep(self, data: bytes) -> list[ArtifactReference]:
        sha256 = sha256_hex(data)
        key = f"pictures/{sha256[:2]}/{sha256}.png"
        self.world.store.put(key, data, "image/png")
        return [ArtifactReference(kind="picture", key=key, sha256=sha256, media_type="image/png", size_bytes=len(data))]


@pytest.fixture
def scene(world: World) -> Scene:
    pictures = [jpeg(number, WIDTH, HEIGHT) for number in range(8)]
    with world.producer() as producer:
        for number, data in enumerate(pictures):
            producer.send(data, headers(f"e{number}", CAMERAS[number % 2]))
    by_value = {one.value: one for one in producer.published}
    return Scene(world, pictures, [by_value[data] for data in pictures])


def store_live_and_replay(scene: Scene) -> None:
    """Make one frame of each kind; 0 is answered alike."""
    gone = OriginReference(topic=scene.published[7].topic, partition=scene.published[7].partition, offset=10_000)
    kept = scene.keep(encode(".png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8)))
    live = [scene.answer(number) for number in range(8) if number != 5]
    live[1] = scene.answer(1, artifacts=kept)
    live[-1] = scene.answer(7, origin=gone)
    again = {"replay_id": "r1"}
    changed = live[1].image
    assert changed is not None
    copy = changed.model_copy(update={"sha256": "c" * 64})
    replayed = [
        scene.answer(0, **again),
        scene.answer(1, verdict="rejected", score=60.5, **again),
        scene.answer(2, detections=[found("ripe", 25, 0.7), found("ripe", 370, 0.4)], **again),
        scene.answer(3, verdict="rejected", score=81.1, image=copy, archived=True, artifacts=kept, **again),
        scene.answer(5, **again),
        scene.answer(6, kind="skipped", verdict=None, score=None, image=None, detections=None, quality=None, **again),
        scene.answer(7, detections=[found("ripe", 20), found("over ripe", 252)], origin=gone, **again),
    ]
    beside = [
        scene.answer(1, variant="shadow", verdict="rejected"),
        scene.answer(2, result_id=promoted_id("2"), replay_id="r1", supersedes=live[2].result_id, score=1.0),
        scene.answer(0, source="/c/elsewhere"),
        scene.answer(2, event_id="before", captured_at=NOW - timedelta(days=1)),
    ]
    scene.store(*live, *replayed, *beside, others=(failed(scene),))


def failed(scene: Scene) -> SinkRecord:
    place = scene.published[4]
    origin = Origin(place.topic, place.partition, place.offset)
    block = replay_headers(Replayed("r1", origin, place.timestamp_ms))
    lost = Failed(
        place.key, b"broken", [*place.headers, *block], Origin(f"{place.topic}.replay", 0, 4), 1_700_000_000_000
    )
    error = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "the picture is damaged")
    return record(dead_letter_message(scene.world.pipeline, lost, error, now=NOW, worker="w1", frame_id="f4"))


def facts_of(scene: Scene, *arguments: str, expect: int = 0) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(scene.world.run("replay", "compare", *arguments, "--json", expect=expect))
    return facts


def test_a_replay_against_live_and_against_another(scene: Scene, tmp_path: Path) -> None:
    store_live_and_replay(scene)
    page = tmp_path / "changes.html"
    facts = facts_of(scene, "r1", "--html", str(page))
    assert (facts["against"], facts["old_pipeline"]) == ("live", scene.world.pipeline)
    assert facts["frames"] == {
        "compared": 5, "copies": 1, "only_old": 1, "only_new": 1, "skipped_old": 0, "skipped_new": 1,
        "missing_share": pytest.approx(2 / 7),
    }  # fmt: skip
    assert facts["only_old_by_source"] == {CAMERAS[0]: 1}
    assert facts["failed"] == {"picture_corrupt": 1}
    originals, copies = facts["originals"], facts["copies"]
    assert (originals["frames"], originals["identical"], originals["answers_changed"]) == (4, 1, 1)
    assert (copies["frames"], copies["answers_changed"], copies["score"]["mean"]) == (1, 1, pytest.approx(-0.1))
    assert {(one["old"], one["new"], one["frames"]) for one in originals["verdicts"]} == {
        ("accepted", "accepted", 3),
        ("accepted", "rejected", 1),
    }
    assert originals["score"]["largest_fall"] == {"shift": -20.7, "frame_id": scene.answer(1).frame_id}
    detections = originals["detections"]
    assert [detections[name] for name in ("old", "new", "matched", "lost", "gained", "reclassified")] == [
        8,
        8,
        6,
        2,
        2,
        1,
    ]
    assert originals["classes"]["mature"]["lost"] == 2
    assert originals["sources"][CAMERAS[1]]["answers_changed"] == 1
    assert [one["frame_id"] for one in facts["most_changed"]] == [
        scene.answer(number).frame_id for number in (7, 2, 1, 3)
    ]
    look_at(page, tmp_path / "changes.png")

    other = {"replay_id": "r2"}
    scene.store(
        scene.answer(1, verdict="rejected", score=60.5, **other),
        scene.answer(2, **other),
        scene.answer(3, verdict="rejected", score=81.1, **other),
    )
    facts = facts_of(scene, "r2", "--against", "r1", "--iou", "0.9")
    # The frame's archived copy is known by what the live worker saw, though only the old side is of the copy.
    assert (facts["frames"]["compared"], facts["frames"]["copies"], facts["frames"]["only_old"]) == (3, 1, 3)
    assert (facts["originals"]["identical"], facts["originals"]["answers_changed"]) == (1, 0)
    assert (facts["originals"]["detections"]["lost"], facts["originals"]["detections"]["gained"]) == (1, 1)


def test_exit_codes_tell_whether_limits_were_kept(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store_live_and_replay(scene)
    for name, value in scene.world.env.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> int:
        return exit_code(["replay", "compare", *arguments])

    assert run("r1", "--at-most-changed", "25%", "--at-most-lost", "0.25") == 0
    table = capsys.readouterr().out
    assert "kept: frames whose verdict or label changed 25.00 %, at most 25.00 %" in table
    assert "5 frames compared; 1 old only, 1 new only; 0 and 1 skipped, 1 failed" in table
    assert run("r1", "--at-most-changed", "25%", "--at-most-lost", "24%") == 1
    assert "BROKEN: old detections lost 25.00 %, at most 24.00 %" in capsys.readouterr().out
    assert run("r1", "--at-most-changed", "25%", "--count-copies") == 1
    assert run("r1", "--at-most-missing", "20%") == 1
    for wrong in (
        ["r1", "--at-most-changed", "25"],
        ["r1", "--iou", "0"],
        ["r1", "--against", "r1"],
        ["r1", "--against", "never-made"],
        ["never-made"],
        ["r1", "--html", str(tmp_path / "no" / "folder.html")],
    ):
        assert run(*wrong) == 2, wrong
    scene.store(scene.answer(5, replay_id="alone"))
    assert run("alone") == 0
    assert run("alone", "--at-most-changed", "100%") == 1
    monkeypatch.setenv("SIGHTLINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert run("r1") == 3


def test_each_limit_is_held_against_its_own_share(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store_a_replay_whose_shares_all_differ(scene)
    for name, value in scene.world.env.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> int:
        return exit_code(["replay", "compare", "r1", *arguments])

    assert run("--json") == 0
    facts = json.loads(capsys.readouterr().out)
    originals, found = facts["originals"], facts["originals"]["detections"]
    shares = {
        "changed": originals["changed_share"], "worse": originals["worse_share"], "lost": found["lost_share"],
        "gained": found["gained_share"], "missing": facts["frames"]["missing_share"],
    }  # fmt: skip
    assert shares == {"changed": 1 / 5, "worse": 3 / 5, "lost": 1 / 10, "gained": 3 / 12, "missing": 3 / 8}
    for name, share in shares.items():
        option = f"--at-most-{name}"
        assert run(option, f"{share:.6f}") == 0, option
        assert run(option, f"{share - 1e-6:.6f}") == 1, option
    only_scored_less = 1 / 5
    fewer_worse = f"{shares['worse'] - only_scored_less:.6f}"
    assert run("--at-most-worse", fewer_worse, "--score-drop", "2.4") == 1
    assert run("--at-most-worse", fewer_worse, "--score-drop", "2.5") == 0
    means = {source: one["score"] for source, one in originals["sources"].items()}
    assert means == {
        CAMERAS[0]: {"count": 2, "mean": 0.0, "lowest": 0.0, "highest": 0.0},
        CAMERAS[1]: {"count": 3, "mean": round((-20.7 - 2.5 + 0) / 3, 6), "lowest": -20.7, "highest": 0.0},
    }


def test_as_many_pictures_are_shown_as_are_asked_for(scene: Scene, tmp_path: Path) -> None:
    store_a_replay_whose_shares_all_differ(scene)
    changed = [scene.answer(number).frame_id for number in (3, 1, 2, 7)]
    for asked in (0, 2, 200):
        page = tmp_path / f"{asked}.html"
        facts = facts_of(scene, "r1", "--html", str(page), "--pictures", str(asked))
        assert [one["frame_id"] for one in facts["most_changed"]] == changed[:asked]
        html = page.read_text(encoding="utf-8")
        assert html.count("<figure>") == html.count("src=") / 2 == len(changed[:asked])


def store_a_replay_whose_shares_all_differ(scene: Scene) -> None:
    """Answer five of the eight live frames again, so that a limit cannot be held against another one's share."""
    many = [found("ripe", 20), found("mature", 250), *(found("ripe", left) for left in (130, 360, 375))]
    scene.store(
        *(scene.answer(number) for number in range(8)),
        scene.answer(0, replay_id="r1"),
        scene.answer(1, verdict="rejected", score=60.5, replay_id="r1"),
        scene.answer(2, detections=[found("ripe", 20)], replay_id="r1"),
        scene.answer(3, detections=many, replay_id="r1"),
        scene.answer(7, score=78.7, replay_id="r1"),
    )


def look_at(page: Path, screenshot: Path) -> None:
    """Open a page as people do. It must fetch nothing, and show charts and two pictures of each frame that has one."""
    assert page.stat().st_mode & 0o777 == 0o600
    html = page.read_text(encoding="utf-8")
    assert html.count('src="data:image/jpeg;base64,') == html.count("src=") == 6
    assert "No picture: it was not kept, and Kafka has it no longer" in html
    browser = require_tool("chromium", "looking at the page", "apt-get install chromium")
    subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={screenshot}",
            f"--user-data-dir={page.parent / 'browser'}", "--window-size=1300,6000", f"file://{page}",
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    shown = cv2.imread(str(screenshot))
    assert shown is not None
    assert shown.shape[:2] == (6000, 1300)
    of_charts = np.all(np.abs(shown.astype(int) - LOST_COLOUR) < 8, axis=2)
    assert of_charts.sum() > 1000
    # The kept picture is of one grey, which a page of text and charts has nowhere.
    of_the_picture = np.all(np.abs(shown.astype(int) - 90) < 6, axis=2)
    assert of_the_picture.sum() > 100_000
