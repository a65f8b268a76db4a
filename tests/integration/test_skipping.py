"""Frames that nobody needs any more, or that a lagging worker leaves out: answered, counted, stored, never silent."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.encoding import format_time
from tests.audit import assert_sound
from tests.pictures import headers, jpeg
from tests.world import Published, Running, World, wait_for

pytestmark = pytest.mark.services
LAG_S = 1


def _publish(world: World, count: int, name: str) -> list[Published]:
    return world.publish((jpeg(n), headers(f"{name}{n}", f"/cameras/{n % 4}")) for n in range(count))


def _define(world: World, rules: str) -> None:
    definition = world.folder / "pipelines" / f"{world.pipeline}.yaml"
    definition.write_text(f"{definition.read_text(encoding='utf-8')}{rules}\n", encoding="utf-8")


def _reasons(results: list[dict[str, Any]]) -> Counter[str | None]:
    return Counter(result["summary"]["skipped"] if result["kind"] == "skipped" else None for result in results)


def _skipped(worker: Running, reason: str) -> float:
    return worker.metric("sightline_frames_skipped_total", reason=reason)


def test_a_backlog_is_thinned_the_same_way_each_time(world: World) -> None:
    _define(world, f"when_behind: thin_out\nbehind: {{lag_s: {LAG_S}, keep_share: 0.25}}")
    now = datetime.now(UTC)
    late = [("ce_deadline", format_time(now - timedelta(hours=1)).encode())]
    soon = [("ce_deadline", format_time(now + timedelta(hours=1)).encode())]
    published = _publish(world, 200, "old")
    time.sleep(LAG_S + 0.5)
    worker = world.start_worker().wait_ready()
    wait_for(lambda: len(world.results()) == 200, 60, "200 answers")
    published += world.publish([
        (jpeg(900), [*headers("late", "/cameras/9"), *late]), (jpeg(901), [*headers("soon", "/cameras/9"), *soon]),
    ])  # fmt: skip
    wait_for(lambda: len(world.results()) == 202, 60, "202 answers")
    results = world.results()
    reasons = _reasons(results)
    assert set(reasons) == {None, "thinned", "deadline"}
    assert reasons["deadline"] == 1
    # A quarter of 200, some more as the newest of each partition is looked at in any case; chance plays.
    assert 110 < reasons["thinned"] < 180
    assert _skipped(worker, "thinned") == reasons["thinned"]
    assert _skipped(worker, "deadline") == 1
    by_event = {result["event_id"]: result for result in results}
    assert by_event["late"]["kind"] == "skipped"
    assert by_event["soon"]["verdict"] in {"accepted", "rejected"}
    skipped = next(result for result in results if result["kind"] == "skipped")
    assert not {"verdict", "score", "image", "quality", "artifacts"} & set(skipped)

    world.start_sink("postgres")
    world.start_sink("objects")
    world.wait_for_rows(202)
    rows = world.sql("SELECT body->'summary'->>'skipped' FROM results WHERE pipeline = :pipeline AND kind = 'skipped'")
    assert Counter(row[0] for row in rows) == {"thinned": reasons["thinned"], "deadline": 1}
    assert_sound(world, published)


def test_newest_first_leaves_the_old_and_looks_at_the_fresh(world: World) -> None:
    _define(world, f"when_behind: newest_first\nbehind: {{lag_s: {LAG_S}}}")
    _publish(world, 150, "old")
    time.sleep(LAG_S + 0.5)
    world.start_worker().wait_ready()
    wait_for(lambda: len(world.results()) == 150, 60, "150 answers")
    fresh = _publish(world, 40, "fresh")
    wait_for(lambda: len(world.results()) == 150 + len(fresh), 60, "the fresh ones too")
    by_event = {result["event_id"]: result["kind"] for result in world.results()}
    assert Counter(kind for event, kind in by_event.items() if event.startswith("fresh")) == {"frame": 40}
    # The last frame of each partition has nothing newer behind it.
    assert 1 <= Counter(kind for event, kind in by_event.items() if event.startswith("old"))["frame"] <= 12
