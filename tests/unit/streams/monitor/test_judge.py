"""What holds for every rule: once each, the same after a restart, bounded memory."""

import random
import tracemalloc
from collections import Counter

import pytest

from schemas.alert import Alert
from streams.monitor.observation import Observation
from tests.unit.streams.monitor.feed import START_MS, Feed, answered, failed, history_s, said, settings

ALL = settings(
    error_share=0.3, flood_dead_letters=40, flood_sources=4, silent_after_s=15, quality_drop=15, acceptance_low=0.4,
    clear_after_s=10, catch_up_s=300,
)  # fmt: skip


def _day(seed: int, length: int) -> list[list[Observation]]:
    """Return a stretch in which everything goes wrong now and then, second by second."""
    chance = random.Random(seed)
    seconds: list[list[Observation]] = []
    trouble: Counter[str] = Counter()
    for second in range(length):
        if chance.random() < 0.03:
            kinds = ("silent", "all silent", "source", "code", "score", "accept")
            trouble[chance.choice(kinds)] = second + chance.randrange(10, 60)
        on = {kind for kind, until in trouble.items() if until > second}
        records = []
        for n in range(6):
            if "all silent" in on or ("silent" in on and n == 2):
                continue
            score = 40 if "score" in on else 80
            accepted = chance.random() < (0.1 if "accept" in on else 0.7)
            records.append(answered(second + n / 10, f"/cameras/{n}", accepted=accepted, score=score))
            if "code" in on:
                records.append(failed(second + n / 10, f"/cameras/{n}", "inference_failed"))
        if "source" in on:
            records += [failed(second + 0.9, "/cameras/9") for _ in range(4)]
        seconds.append(records)
    return seconds


def _check_once_each(alerts: list[Alert]) -> None:
    """Per rule and subject: firing, resolved, firing, …, each with an id of its own."""
    assert len({alert.alert_id for alert in alerts}) == len(alerts)
    states: dict[tuple[str, str], str] = {}
    for rule, subject, state in said(alerts):
        assert state != states.get((rule, subject), "resolved"), (rule, subject, state)
        states[rule, subject] = state


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_killed_at_any_time_it_says_what_it_would_have_said_anyway(seed: int) -> None:
    """Each new life knows only the records of the windows and `catch_up_s`, and the alerts on the topic."""
    length = 900
    day = _day(seed, length)
    whole = Feed(ALL)
    whole.run(0, length, lambda second: day[second])
    assert len(whole.alerts) > 8
    _check_once_each(whole.alerts)

    chance = random.Random(-seed - 1)
    topic: list[Alert] = []
    died = 0
    while died < length:
        born = 0 if died == 0 else min(died + chance.randrange(1, 200), length)
        start = born - history_s(ALL) - ALL.catch_up_s
        life = Feed(ALL, topic, judge_from_s=max(start + history_s(ALL), 0))
        life.run(max(0, round(start)), born, lambda second: day[second])
        died = min(born + chance.randrange(20, 200), length)
        life.run(born, died, lambda second: day[second])
        topic += life.alerts
    assert [alert.alert_id for alert in topic] == [alert.alert_id for alert in whole.alerts]
    assert [alert.to_json() for alert in topic] == [alert.to_json() for alert in whole.alerts]


def test_killed_before_the_acknowledgement_it_says_the_same_once_more() -> None:
    records = [failed(second) for second in range(90)]
    feed = Feed(settings(flood_dead_letters=40))
    feed.run(0, 60, lambda second: records[second : second + 1])
    again = Feed(settings(flood_dead_letters=40))
    again.run(0, 90, lambda second: records[second : second + 1])
    assert [alert.to_json() for alert in feed.alerts] == [alert.to_json() for alert in again.alerts]
    assert len(again.alerts) == 1


@pytest.mark.parametrize("seed", range(3))
def test_partitions_read_one_after_the_other_lead_to_the_same_alerts(seed: int) -> None:
    day = _day(seed, 300)
    in_order, skewed = Feed(ALL), Feed(ALL)
    in_order.run(0, 300, lambda second: day[second])
    records = [record for second in day for record in second]
    for record in sorted(records, key=lambda record: record.source):
        skewed.judge.observe(record)
    skewed.alerts = skewed.judge.advance(START_MS + 300_000)
    assert [alert.to_json() for alert in skewed.alerts] == [alert.to_json() for alert in in_order.alerts]


def test_nothing_is_judged_before_the_windows_are_full() -> None:
    feed = Feed(settings(flood_dead_letters=40), judge_from_s=100)
    assert feed.run(0, 100, lambda second: [failed(second)] * 5) == []
    assert said(feed.run(100, 110)) == [("source-flood", "/cameras/1", "firing")]


def test_after_a_long_pause_only_the_last_stretch_is_judged() -> None:
    feed = Feed(settings(flood_dead_letters=40, catch_up_s=60, clear_after_s=0))
    for second in range(60):
        feed.judge.observe(failed(second))
    assert feed.judge.advance(START_MS + 3_600_000) == []
    assert feed.judge.judged_ms == START_MS + 3_600_000


def test_an_alert_that_nobody_ends_is_given_up() -> None:
    feed = Feed(settings(silent_after_s=30, give_up_hours=0.2, catch_up_s=60))
    feed.run(0, 120, lambda second: [answered(second, "/cameras/1"), answered(second, "/cameras/2")])
    feed.run(120, 1200, lambda second: [answered(second, "/cameras/1")])
    assert said(feed.alerts) == [
        ("camera-silent", "/cameras/2", "firing"),
        ("camera-silent", "/cameras/2", "resolved"),
    ]
    assert (feed.alerts[1].facts or {})["given_up"] is True


def test_being_well_must_last() -> None:
    """A camera that shows up for a moment and goes again is one alert, not two."""
    feed = Feed(settings(silent_after_s=30, clear_after_s=60))
    others = [f"/cameras/{n}" for n in range(3)]
    feed.run(0, 120, lambda second: [answered(second, name) for name in [*others, "/cameras/9"]])
    feed.run(
        120, 600, lambda second: [answered(second, name) for name in [*others, *["/cameras/9"] * (second % 80 == 0)]]
    )
    assert said(feed.alerts) == [("camera-silent", "/cameras/9", "firing")]


def test_sources_are_bounded() -> None:
    feed = Feed(settings(silent_after_s=30, flood_dead_letters=40, max_sources=100))
    feed.run(
        0,
        60,
        lambda second: [record(second, f"/phones/{second}-{n}") for n in range(50) for record in (answered, failed)],
    )
    assert len(feed.judge.state.sources) == 100
    assert feed.judge.state.forgotten == 2900
    assert len(feed.judge.state._failing) == 100


def test_a_source_costs_about_one_kilobyte() -> None:
    feed = Feed(settings(silent_after_s=300, quality_drop=15, quality_window_s=600, quality_baseline_s=3000))
    seen = [answered(n / 1000, f"/cameras/{n}", score=50) for n in range(2000)]
    tracemalloc.start()
    for one in seen:
        feed.judge.state.apply(one)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(feed.judge.state.sources) == 2000
    assert used / 2000 < 1500
