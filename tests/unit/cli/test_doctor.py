"""What doctor makes of what it sees."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sightline.cli.doctor import command, kafka, lag
from sightline.cli.doctor.clocks import check_clock
from sightline.cli.doctor.finding import Finding, away, exit_code, fail, ok, warn
from sightline.runtime.settings import PipelinesSettings, Settings
from streams.read import TopicRecord
from streams.topics import ClusterState, TopicState, load_topics_file

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([ok("a", ""), warn("a", "", "")], 0),
        ([ok("a", ""), fail("a", "", "")], 1),
        ([fail("a", "", ""), away("a", "", ""), warn("a", "", "")], 3),
    ],
)
def test_exit_codes(findings: list[Finding], code: int) -> None:
    assert exit_code(findings) == code


@pytest.mark.parametrize(
    ("theirs_s", "status", "says"),
    [(0.5, "ok", "differ"), (-0.9, "ok", "differ"), (5.0, "warn", "4 s ahead"), (-7.0, "warn", "7 s behind")],
)
def test_clocks(theirs_s: float, status: str, says: str) -> None:
    finding = check_clock("db", _NOON + timedelta(seconds=theirs_s), _NOON, _NOON + timedelta(seconds=1))
    assert finding.status == status
    assert says in finding.says


_GOOD = load_topics_file(None).rules("frames.civic").settings()


def _topic_findings(settings: dict[str, str], replication: int = 3, brokers: int = 3) -> list[Finding]:
    return list(kafka._check_topic("frames.civic", TopicState(12, replication, _GOOD | settings), brokers))


def test_a_topic_as_it_should_be_has_no_finding() -> None:
    assert _topic_findings({}) == []
    assert _topic_findings({"max.message.bytes": str(64 * 1024 * 1024), "retention.ms": "1000"}) == []


@pytest.mark.parametrize(
    ("settings", "status", "says"),
    [
        ({"max.message.bytes": "1048588"}, "fail", "1048588"),
        ({"message.timestamp.type": "CreateTime"}, "fail", "times"),
        ({"cleanup.policy": "compact"}, "fail", "compacted"),
        ({"min.insync.replicas": "4"}, "fail", "nothing can be published"),
        ({"min.insync.replicas": "3"}, "warn", "one broker is away"),
        ({"min.insync.replicas": "1"}, "warn", "one broker alone"),
    ],
)
def test_a_topic_that_is_not(settings: dict[str, str], status: str, says: str) -> None:
    (finding,) = _topic_findings(settings)
    assert finding.status == status
    assert says in finding.says
    assert finding.advice


@pytest.mark.parametrize(
    ("policy", "says"), [("compact", None), ("delete", "not compacted"), ("compact,delete", "not compacted")]
)
def test_activations_must_be_compacted(policy: str, says: str | None) -> None:
    settings = load_topics_file(None).rules("models.gesture.detector").settings() | {"cleanup.policy": policy}
    findings = list(kafka._check_topic("models.gesture.detector", TopicState(1, 3, settings), 3))
    assert [says in finding.says for finding in findings if says] == ([True] if says else [])
    assert len(findings) == (says is not None)


def test_one_copy_is_warned_about_where_more_could_be() -> None:
    settings = {"min.insync.replicas": "1"}
    assert _topic_findings(settings, replication=1, brokers=1) == []
    (finding,) = _topic_findings(settings, replication=1, brokers=3)
    assert finding.status == "warn"


def test_a_pipeline_whose_file_is_wrong_is_named_and_its_topics_are_still_looked_at(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nsummary: nothing\ninput: {media_types: [image/jpeg]}\n")
    known, wrong = command._known(Settings(pipelines=PipelinesSettings(dir=tmp_path)))
    assert "mine" in known
    assert [finding.status for finding in wrong] == ["fail"]
    assert "mine.yaml" in wrong[0].says


def test_only_pipelines_in_use_are_checked_unless_asked() -> None:
    state = TopicState(12, 3, _GOOD)
    cluster = ClusterState(3, {"frames.civic": state, "alerts": state})
    assert kafka._in_use(cluster, ["civic", "other"]) == [
        "frames.civic",
        "results.civic",
        "artifacts.civic",
        "deadletters.civic",
        "deadletters.civic.parked",
        "frames.civic.replay",
        "results.civic.replay",
        "replays.civic",
        "alerts",
        "replay-commands",
        "replay-answers",
    ]
    findings = kafka._check_topics(cluster, ["frames.civic", "results.civic"])
    assert [finding.says for finding in findings] == ["results.civic is missing"]
    (none,) = kafka._check_topics(cluster, kafka._in_use(ClusterState(1, {}), ["civic"]))
    assert none.status == "fail"


@pytest.mark.parametrize(
    ("age_s", "retention_ms", "status"),
    [(100, 1_000_000, "ok"), (600, 1_000_000, "warn"), (950, 1_000_000, "fail"), (10_000_000, -1, "ok")],
)
def test_unread_records_against_retention(age_s: int, retention_ms: int, status: str) -> None:
    cluster = ClusterState(1, {"frames.civic": TopicState(1, 1, {"retention.ms": str(retention_ms)})})
    appended = datetime.now(UTC) - timedelta(seconds=age_s)
    record = TopicRecord("frames.civic", 0, 0, int(appended.timestamp() * 1000), None, b"", [])
    finding = lag._judge("sightline.worker.civic", [record], cluster)
    assert finding.status == status
    assert "frames.civic" in finding.says


@pytest.mark.parametrize(
    ("cluster", "status", "says"),
    [
        (ClusterState(3, {}), "ok", "3 brokers"),
        (ClusterState(3, {}, away=1), "warn", "1 of 3 brokers are away"),
        (ClusterState(1, {}), "warn", "one broker"),
    ],
)
def test_brokers(cluster: ClusterState, status: str, says: str) -> None:
    finding = kafka._check_brokers(cluster)
    assert finding.status == status
    assert says in finding.says


def test_a_group_without_unread_records() -> None:
    assert lag._judge("g", [], ClusterState(1, {})).status == "ok"
