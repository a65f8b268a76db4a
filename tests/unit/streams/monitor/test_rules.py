from collections.abc import Iterator
from typing import Any

import pytest

from streams.monitor.observation import Kind, Observation
from streams.monitor.rules import rules_of
from streams.monitor.rules.acceptance import wilson_interval
from tests.unit.streams.monitor.feed import START_MS, Feed, answered, failed, said, settings


def _facts(feed: Feed, number: int = 0) -> dict[str, Any]:
    return feed.alerts[number].facts or {}


# -- error share


def test_error_share_begins_at_its_threshold_and_ends_at_half() -> None:
    feed = Feed(settings(error_share=0.2, clear_after_s=0))

    def at(share: float) -> Any:
        return lambda second: [failed(second) if n < share * 20 else answered(second) for n in range(20)]

    assert said(feed.run(0, 60, at(0.15))) == []
    assert said(feed.run(60, 160, at(0.25))) == [("error-share", "", "firing")]
    assert said(feed.run(160, 260, at(0.15))) == []
    assert said(feed.run(260, 360, at(0.05))) == [("error-share", "", "resolved")]
    assert _facts(feed)["codes"].keys() == {"picture_corrupt"}
    assert _facts(feed)["share"] >= 0.2


def test_error_share_needs_frames() -> None:
    feed = Feed(settings(error_share=0.2, error_min_frames=20))
    assert feed.run(0, 60, lambda second: [failed(second)] if second < 19 else []) == []
    assert said(feed.run(60, 62, lambda second: [failed(second)] * 20)) == []
    assert said(feed.run(62, 80)) == [("error-share", "", "firing")]
    assert feed.alerts[0].severity == "critical"


def test_what_a_sink_could_not_store_is_no_failed_frame() -> None:
    feed = Feed(settings(error_share=0.2))

    def at(second: int) -> list[Observation]:
        stored = Observation(START_MS + second * 1000, Kind.NOT_STORED, "/cameras/1", "d", code="row_rejected")
        return [answered(second), stored]

    assert feed.run(0, 100, at) == []


# -- floods


def test_a_flood_of_one_source_names_it_with_samples() -> None:
    feed = Feed(settings(flood_dead_letters=50))
    feed.run(0, 20, lambda second: [failed(second, "/cameras/9") for _ in range(3)] + [failed(second, "/cameras/1")])
    assert said(feed.alerts) == [("source-flood", "/cameras/9", "firing")]
    assert len(_facts(feed)["samples"]) == 3
    assert _facts(feed)["codes"] == {"picture_corrupt": _facts(feed)["dead_letters"]}
    assert said(feed.run(20, 120)) == [("source-flood", "/cameras/9", "resolved")]


def test_a_flood_of_one_code_over_many_sources_is_one_alert() -> None:
    feed = Feed(settings(flood_dead_letters=50, flood_sources=5))
    feed.run(0, 60, lambda second: [failed(second, f"/cameras/{n}", "inference_failed") for n in range(5)])
    assert said(feed.alerts) == [("code-flood", "inference_failed", "firing")]
    assert _facts(feed)["sources"] == 5
    assert feed.alerts[0].severity == "critical"


def test_a_code_over_few_sources_floods_from_each_of_them() -> None:
    feed = Feed(settings(flood_dead_letters=50, flood_sources=5))
    feed.run(0, 60, lambda second: [failed(second, f"/cameras/{n}") for n in range(4)])
    assert sorted(said(feed.alerts)) == [("source-flood", f"/cameras/{n}", "firing") for n in range(4)]


def test_a_flood_at_its_threshold_does_not_flap() -> None:
    """Between half of the threshold and all of it nothing changes, however long and often it crosses."""
    feed = Feed(settings(flood_dead_letters=50, clear_after_s=0))
    feed.run(0, 1200, lambda second: [failed(second)] if second % 60 < (55 if second // 60 % 2 else 40) else [])
    assert said(feed.alerts) == [("source-flood", "/cameras/1", "firing")]


# -- silence


def _steady(second: int, cameras: int = 4) -> Iterator[Observation]:
    return (answered(second, f"/cameras/{n}") for n in range(cameras))


def test_a_steady_camera_that_falls_silent() -> None:
    feed = Feed(settings(silent_after_s=30))
    feed.run(0, 120, _steady)
    assert said(feed.run(120, 145, lambda second: _steady(second, 3))) == []
    assert said(feed.run(145, 160, lambda second: _steady(second, 3))) == [("camera-silent", "/cameras/3", "firing")]
    assert _facts(feed)["threshold_s"] == 30
    assert 30 <= _facts(feed)["silent_s"] <= 36
    assert said(feed.run(160, 200, _steady)) == [("camera-silent", "/cameras/3", "resolved")]
    assert feed.run(200, 400, _steady) == []


def test_a_phone_that_sends_a_handful_is_no_camera() -> None:
    feed = Feed(settings(silent_after_s=30))
    burst = [answered(60, "/phones/1") for _ in range(10)]
    assert feed.run(0, 300, lambda second: [*_steady(second), *(burst if second == 60 else [])]) == []


def test_a_slow_camera_is_given_five_of_its_gaps() -> None:
    feed = Feed(settings(silent_after_s=30))

    def at(second: int) -> Iterator[Observation]:
        yield answered(second)
        if second % 11 == 0 and second < 200:
            yield answered(second, "/cameras/slow")

    feed.run(0, 240, at)
    assert feed.alerts == []
    assert said(feed.run(240, 280, at)) == [("camera-silent", "/cameras/slow", "firing")]
    assert 45 <= _facts(feed)["threshold_s"] <= 65


def test_a_pipeline_that_stands_still_is_one_alert_and_no_camera_is_blamed() -> None:
    feed = Feed(settings(silent_after_s=30))
    feed.run(0, 120, _steady)
    assert said(feed.run(120, 300)) == [("pipeline-silent", "", "firing")]
    assert feed.alerts[0].severity == "critical"
    # Three come back at once, one never does: it gets its time from when the pipeline came back.
    assert said(feed.run(300, 325, lambda second: _steady(second, 3))) == [("pipeline-silent", "", "resolved")]
    assert said(feed.run(325, 345, lambda second: _steady(second, 3))) == [("camera-silent", "/cameras/3", "firing")]


def test_a_dead_letter_is_a_sign_of_life() -> None:
    feed = Feed(settings(silent_after_s=30))
    feed.run(0, 120, _steady)
    assert feed.run(120, 300, lambda second: [*_steady(second, 3), failed(second, "/cameras/3")]) == []


# -- quality


def _scores(score: float, cameras: int = 3) -> Any:
    return lambda second: (answered(second, f"/cameras/{n}", score=score) for n in range(cameras))


def test_quality_that_falls_everywhere_is_one_alert() -> None:
    feed = Feed(settings(quality_drop=15, quality_baseline_s=300))
    feed.run(0, 400, _scores(80))
    assert said(feed.run(400, 500, _scores(60))) == [("quality-falling", "", "firing")]
    assert _facts(feed)["usual_score"] == pytest.approx(80, abs=0.2)
    assert _facts(feed)["mean_score"] <= 65
    # Bad pictures that last do not become the usual.
    assert feed.run(500, 1500, _scores(60)) == []
    assert feed.run(1500, 1600, _scores(70)) == []
    assert said(feed.run(1600, 1700, _scores(78))) == [("quality-falling", "", "resolved")]


def test_quality_of_one_camera_falls() -> None:
    feed = Feed(settings(quality_drop=15, quality_baseline_s=300))
    feed.run(0, 400, _scores(80, 20))

    def at(second: int) -> Iterator[Observation]:
        return (answered(second, f"/cameras/{n}", score=30 if n == 7 else 80) for n in range(20))

    assert said(feed.run(400, 500, at)) == [("quality-falling", "/cameras/7", "firing")]
    assert said(feed.run(500, 650, _scores(80, 20))) == [("quality-falling", "/cameras/7", "resolved")]


def test_a_new_camera_has_no_usual_quality() -> None:
    feed = Feed(settings(quality_drop=15))
    feed.run(0, 400, _scores(80))
    assert feed.run(400, 460, lambda second: [*_scores(80)(second), answered(second, "/cameras/new", score=60)]) == []


# -- acceptance and rate


def test_acceptance_leaves_its_band_and_comes_back() -> None:
    feed = Feed(settings(acceptance_low=0.35, acceptance_high=0.40))

    def at(share: float) -> Any:
        return lambda second: [answered(second, accepted=n < share * 100) for n in range(100)]

    assert feed.run(0, 100, at(0.37)) == []
    assert said(feed.run(100, 200, at(0.30))) == [("acceptance-out-of-band", "", "firing")]
    assert _facts(feed)["band"] == [0.35, 0.40]
    assert _facts(feed)["share"] < 0.35
    assert said(feed.run(200, 300, at(0.38))) == [("acceptance-out-of-band", "", "resolved")]
    assert said(feed.run(300, 380, at(0.50))) == [("acceptance-out-of-band", "", "firing")]


def test_a_few_photos_prove_nothing_about_a_narrow_band() -> None:
    """30 % of 120 are not that rare where 37 % are usual."""
    feed = Feed(settings(acceptance_low=0.35, acceptance_high=0.40))
    assert feed.run(0, 300, lambda second: [answered(second, accepted=second % 10 < 3) for _ in range(2)]) == []


@pytest.mark.parametrize(
    ("share", "count", "low", "high"), [(0.5, 100, 0.4019, 0.5981), (0.0, 10, 0.0, 0.2857), (1.0, 10, 0.7143, 1.0)]
)
def test_wilson(share: float, count: int, low: float, high: float) -> None:
    assert wilson_interval(share, count) == pytest.approx((low, high), abs=1e-4)


def test_the_rate_leaves_its_band() -> None:
    feed = Feed(settings(rate_low=2, rate_high=10), judge_from_s=60)
    assert feed.run(0, 200, lambda second: [answered(second)] * 5) == []
    assert said(feed.run(200, 300, lambda second: [answered(second)])) == [("rate-out-of-band", "", "firing")]
    assert said(feed.run(300, 400, lambda second: [answered(second)] * 4)) == [("rate-out-of-band", "", "resolved")]
    assert said(feed.run(400, 500, lambda second: [answered(second)] * 20)) == [("rate-out-of-band", "", "firing")]


def test_rules_that_are_off_are_not_there() -> None:
    assert rules_of(settings()) == []
    assert len(rules_of(settings(error_share=0.1, flood_dead_letters=1, silent_after_s=1, quality_drop=1))) == 6
