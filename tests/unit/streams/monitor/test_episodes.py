from schemas.alert import Alert, make_alert
from streams.monitor.episodes import Episodes
from streams.monitor.findings import Finding, Verdict
from streams.monitor.moments import milliseconds, moment
from tests.unit.streams.monitor.feed import PIPELINE, START_MS, settings

RULE = "camera-silent"


def _episodes(*restored: Alert) -> Episodes:
    episodes = Episodes(PIPELINE, settings(clear_after_s=10))
    for alert in restored:
        episodes.restore(alert, milliseconds(alert.raised_at) + 1)
    return episodes


def _finding(verdict: Verdict, subject: str = "/c") -> Finding:
    return Finding(subject, verdict, "summary", {"fact": 1})


def _begun(at_ms: int = START_MS) -> Alert:
    alert = _episodes().settle(RULE, _finding(Verdict.BAD), at_ms)
    assert alert is not None
    return alert


def test_an_alert_names_pipeline_subject_and_moment() -> None:
    alert = _begun()
    assert (alert.rule, alert.source, alert.pipeline) == (RULE, "civic|/c", PIPELINE)
    assert alert.window == "2027-01-15T08:00:00.000000Z"
    assert alert.raised_at == moment(START_MS)
    assert alert.facts == {"state": "firing", "fact": 1}


def test_the_pipeline_as_a_whole_has_no_bar() -> None:
    alert = _episodes().settle(RULE, _finding(Verdict.BAD, ""), START_MS)
    assert alert is not None
    assert alert.source == PIPELINE


def test_well_again_must_last_without_a_break() -> None:
    episodes = _episodes()
    assert episodes.settle(RULE, _finding(Verdict.BAD), START_MS)
    said = []
    for second, verdict in ((5, Verdict.GOOD), (10, Verdict.BETWEEN), (12, Verdict.GOOD), (21, Verdict.GOOD)):
        said.append(episodes.settle(RULE, _finding(verdict), START_MS + second * 1000))
    assert said == [None] * 4
    ended = episodes.settle(RULE, _finding(Verdict.GOOD), START_MS + 22_000)
    assert ended is not None
    assert ended.facts == {
        "state": "resolved",
        "resolves": _begun().alert_id,
        "since": "2027-01-15T08:00:00.000000Z",
        "lasted_s": 22,
        "fact": 1,
    }
    assert ended.alert_id != _begun().alert_id
    assert ended.severity == "info"


def test_what_the_topic_says_is_on_is_not_said_again() -> None:
    episodes = _episodes(_begun(), _begun())
    episodes.play_back(START_MS + 1)
    assert episodes.firing(RULE).keys() == {"/c"}
    assert episodes.settle(RULE, _finding(Verdict.BAD), START_MS + 5000) is None
    assert episodes.settle(RULE, _finding(Verdict.GOOD), START_MS + 6000) is None
    assert episodes.settle(RULE, _finding(Verdict.GOOD), START_MS + 16_000) is not None


def test_times_before_the_last_word_on_a_subject_are_settled() -> None:
    episodes = _episodes(_begun())
    assert episodes.settle(RULE, _finding(Verdict.BAD), START_MS - 5000) is None
    assert episodes.settle(RULE, _finding(Verdict.BAD, "/other"), START_MS - 5000) is not None


def test_what_a_clock_that_was_ahead_said_silences_nobody() -> None:
    ahead = _begun(START_MS + 8 * 3_600_000)
    episodes = _episodes()
    episodes.restore(ahead, START_MS)
    episodes.play_back(START_MS + 1)
    for second in (1, 12):
        ended = episodes.settle(RULE, _finding(Verdict.GOOD), START_MS + second * 1000)
    assert ended is not None
    assert (ended.facts or {})["resolves"] == ahead.alert_id


def test_alerts_of_others_are_left_alone() -> None:
    other = _begun().model_copy(update={"pipeline": "polyp"})
    plain = make_alert(
        rule=RULE, source="civic|/c", window="w", raised_at=moment(START_MS), summary="", pipeline=PIPELINE
    )  # fmt: skip
    episodes = _episodes(other, plain)
    episodes.play_back(START_MS + 1)
    assert episodes.firing(RULE) == {}


def test_what_was_said_is_forgotten_once_it_is_never_judged_again() -> None:
    episodes = _episodes()
    for second in range(0, 1000, 20):
        subject = f"/c{second}"
        assert episodes.settle(RULE, _finding(Verdict.BAD, subject), START_MS + second * 1000)
        for later in (1, 12):
            episodes.settle(RULE, _finding(Verdict.GOOD, subject), START_MS + (second + later) * 1000)
        episodes.forget(START_MS + second * 1000 - 60_000)
    assert len(episodes._said) < 6
