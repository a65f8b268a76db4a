"""A second model on the same frames: as a canary for some of them, as a shadow beside all of them."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from schemas import topics
from schemas.activation import Canary, ModelAddress
from schemas.headers import Headers
from tests.audit import assert_sound
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.scenes import LEFT, RIGHT, SEEN, polyp_model, put_in_force, store
from tests.world import World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]
FRAMES = 10_000
SALT = "one activation's"


@pytest.fixture
def polyp(world_like: Callable[[str], World]) -> World:
    return world_like("polyp")


@pytest.fixture
def models(polyp: World) -> tuple[ModelAddress, ModelAddress]:
    """Two detectors of which one finds something on the left of each picture, the other on the right."""
    left, right = (
        store(polyp, polyp_model(polyp.folder, version, box)) for version, box in (("1", LEFT), ("2", RIGHT))
    )
    return left, right


def _frames(count: int, start: int = 0) -> Iterable[tuple[bytes, Headers]]:
    pictures = [jpeg(seed) for seed in range(16)]
    return ((pictures[n % 16], headers(f"e{n}", f"/cameras/{n % 3}")) for n in range(start, start + count))


def _wait_for_results(world: World, count: int) -> list[dict[str, Any]]:
    wait_for(lambda: world.count(topics.results(world.pipeline)) >= count, 240, f"{count} results")
    return world.results()


def _on_canary(results: Iterable[dict[str, Any]], canary: ModelAddress) -> set[str]:
    """Return the events that the canary answered; what each says must be what its model says."""
    chosen = set()
    for result in results:
        is_canary = result["models"][0]["digest"] == canary.digest
        assert result["detections"][0]["bbox"] == SEEN[RIGHT if is_canary else LEFT]
        if is_canary:
            chosen.add(result["event_id"])
    return chosen


def test_a_canary_of_a_tenth(polyp: World, models: tuple[ModelAddress, ModelAddress]) -> None:
    """Ten thousand frames of three cameras, two workers; then the share is raised, and another worker answers again."""
    live, other = models
    put_in_force(polyp, live, canary=Canary(model=other, share=0.1, salt=SALT))
    workers = [polyp.start_worker().wait_ready() for _ in range(2)]
    polyp.publish(_frames(FRAMES))
    results = _wait_for_results(polyp, FRAMES)
    assert all(worker.metric("sightline_records_finished_total") > 0 for worker in workers)
    assert len({result["frame_id"] for result in results}) == FRAMES
    tenth = _on_canary(results, other)
    print(f"{len(tenth) / FRAMES:.2%} of {FRAMES} frames on the canary")
    assert 0.09 * FRAMES <= len(tenth) <= 0.11 * FRAMES
    by_camera = Counter(int(event[1:]) % 3 for event in tenth)
    assert all(0.08 <= 3 * count / FRAMES <= 0.12 for count in by_camera.values())

    for worker in workers:
        assert worker.terminate() == 0
    put_in_force(polyp, live, canary=Canary(model=other, share=0.3, salt=SALT))
    polyp.forget_group(topics.group("worker", polyp.pipeline))
    polyp.empty(topics.results(polyp.pipeline))
    start = polyp.count(topics.results(polyp.pipeline))
    polyp.start_worker()
    results = _wait_for_results(polyp, start + FRAMES)
    third = _on_canary(results, other)
    assert tenth < third
    assert 0.28 * FRAMES <= len(third) <= 0.32 * FRAMES


def test_a_canary_by_source_takes_whole_cameras(polyp: World, models: tuple[ModelAddress, ModelAddress]) -> None:
    live, other = models
    put_in_force(polyp, live, canary=Canary(model=other, share=0.5, by="source", salt=SALT))
    polyp.start_worker()
    polyp.publish((jpeg(n), headers(f"e{n}", f"/cameras/{n % 20}")) for n in range(400))
    results = _wait_for_results(polyp, 400)
    chosen = _on_canary(results, other)
    cameras = {result["source"] for result in results if result["event_id"] in chosen}
    assert 3 <= len(cameras) <= 17
    assert len(chosen) == 20 * len(cameras)


def test_a_shadow_answers_beside_the_live_model(polyp: World, models: tuple[ModelAddress, ModelAddress]) -> None:
    live, other = models
    put_in_force(polyp, live, shadow=other)
    worker, *_ = polyp.start_all()
    frames: list[tuple[bytes | None, Headers]] = list(_frames(200))
    frames[::20] = [TEN_WAYS[n].make(n, f"broken{n}", "/cameras/0") for n in range(10)]
    published = polyp.publish(frames)
    polyp.wait_for_rows(2 * 190 + 10)
    evidence = assert_sound(polyp, published)
    assert (len(evidence.result_rows), len(evidence.shadow_rows), len(evidence.letter_rows)) == (190, 190, 10)
    boxes = {"live": SEEN[LEFT], "shadow": SEEN[RIGHT]}
    digests = {"live": live.digest, "shadow": other.digest}
    for result in evidence.topic_results:
        assert result["detections"][0]["bbox"] == boxes[result["variant"]]
        assert result["models"][0]["digest"] == digests[result["variant"]]
    for kind in ("gained", "lost"):
        assert worker.metric("sightline_shadow_differences_total", kind=kind) == 190
    assert worker.metric("sightline_shadow_differences_total", kind="verdict") == 0
    assert worker.metric("sightline_model_loaded") == 2
    current = polyp.sql("SELECT variant FROM current_results WHERE pipeline = :pipeline")
    assert [row[0] for row in current] == ["live"] * 190


def test_ending_a_shadow_frees_its_model(polyp: World, models: tuple[ModelAddress, ModelAddress]) -> None:
    live, other = models
    put_in_force(polyp, live, shadow=other)
    worker = polyp.start_worker().wait_ready()
    put_in_force(polyp, live)
    wait_for(lambda: worker.metric("sightline_model_loaded") == 1, 30, "the shadow is gone")
    polyp.publish(_frames(20))
    assert {result["variant"] for result in _wait_for_results(polyp, 20)} == {"live"}
