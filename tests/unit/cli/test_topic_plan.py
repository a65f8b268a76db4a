"""From topics as they are to topics as they should be."""

from importlib import resources
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka.admin import AdminClient, BrokerMetadata, ClusterMetadata, PartitionMetadata, TopicMetadata

from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition, load_pipeline
from streams.topics import (
    Change,
    ClusterState,
    TopicRules,
    TopicState,
    load_topics_file,
    make_plan,
    read_cluster,
    topics_of,
)

_MIB = 1024 * 1024


def _as_wanted(rules: TopicRules) -> TopicState:
    return TopicState(rules.partitions, rules.replication, rules.settings() | {"segment.bytes": "1"})


def _cluster(brokers: int = 3) -> ClusterState:
    file = load_topics_file(None)
    return ClusterState(brokers, {topic: _as_wanted(file.rules(topic)) for topic in topics_of(["civic"])})


def _plan_of(state: TopicState) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    plan = make_plan(load_topics_file(None), ["frames.civic"], ClusterState(3, {"frames.civic": state}))
    return plan.changes, plan.warnings


def test_the_limits_of_the_contract() -> None:
    file = load_topics_file(None)
    for topic, limit in {
        "frames.civic": 16 * _MIB,
        "artifacts.civic": 16 * _MIB,
        "results.civic": 16 * _MIB,
        "deadletters.civic": 18 * _MIB,
    }.items():
        settings = file.rules(topic).settings()
        assert settings["max.message.bytes"] == str(limit)
        assert settings["message.timestamp.type"] == "LogAppendTime"
        assert settings["cleanup.policy"] == "delete"
        assert file.rules(topic).replication == 3
        assert settings["min.insync.replicas"] == "2"


def test_an_empty_cluster_gets_every_topic() -> None:
    wanted = topics_of(["civic", "mine"])
    assert len(wanted) == 19
    plan = make_plan(load_topics_file(None), wanted, ClusterState(3, {}))
    assert [(change.kind, change.topic) for change in plan.changes] == [("create", topic) for topic in wanted]
    assert plan.changes[0].after["partitions"] == "12"
    assert plan.changes[0].after["replication"] == "3"
    assert plan.warnings == ()


def _pipeline(name: str) -> PipelineDefinition:
    text = (resources.files("processors") / "pipelines" / name / "pipeline.yaml").read_text("utf-8")
    return load_pipeline(text, name)


def test_a_pipeline_has_a_topic_for_each_of_its_roles() -> None:
    gesture = _pipeline("gesture").model_copy(update={"emr": True})
    assert topics_of([gesture]) == [
        "frames.gesture",
        "results.gesture",
        "artifacts.gesture",
        "deadletters.gesture",
        "deadletters.gesture.parked",
        "frames.gesture.replay",
        "results.gesture.replay",
        "replays.gesture",
        "emr.gesture",
        "models.gesture.detector",
        "models.gesture.classifier",
        "alerts",
        "replay-commands",
        "replay-answers",
    ]
    assert topics_of([_pipeline("civic")]) == topics_of(["civic"])


def test_activations_are_kept_for_ever_and_only_the_newest() -> None:
    plan = make_plan(load_topics_file(None), ["models.gesture.detector"], ClusterState(3, {}))
    (change,) = plan.changes
    assert change.after["partitions"] == "1"
    assert change.after["cleanup.policy"] == "compact"
    assert change.after["retention.ms"] == "-1"


def test_a_file_of_the_time_before_models_still_serves(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(_FILE)
    built_in = load_topics_file(None)
    for topic in ("models.gesture.detector", "emr.polyp", "replay-commands", "replay-answers"):
        assert load_topics_file(path).rules(topic) == built_in.rules(topic)


def test_what_is_as_it_should_be_is_left_alone() -> None:
    plan = make_plan(load_topics_file(None), topics_of(["civic"]), _cluster())
    assert plan.changes == ()
    assert plan.warnings == ()


def test_one_broker_gets_one_copy_and_a_warning() -> None:
    plan = make_plan(load_topics_file(None), ["alerts"], ClusterState(1, {}))
    assert plan.changes[0].after["replication"] == "1"
    assert plan.changes[0].after["min.insync.replicas"] == "1"
    assert len(plan.warnings) == 1
    assert "one broker" in plan.warnings[0]


class _Admin:
    """A cluster of three of which one broker answers, seen through the client's own classes."""

    def list_topics(self, timeout: float) -> ClusterMetadata:
        assert timeout == 1
        partition = PartitionMetadata()
        partition.replicas = [1, 2, 3]
        topic = TopicMetadata()
        topic.partitions = {0: partition}
        listed = ClusterMetadata()
        listed.brokers = {1: BrokerMetadata()}
        listed.topics = {"__consumer_offsets": topic}
        return listed


def test_three_brokers_of_which_two_are_down_do_not_pass_for_one() -> None:
    cluster = read_cluster(cast("AdminClient", _Admin()), ["alerts"], 1)
    assert (cluster.brokers, cluster.away, cluster.topics) == (3, 2, {})
    assert make_plan(load_topics_file(None), ["alerts"], cluster).changes[0].after["replication"] == "3"


def test_two_brokers_for_three_copies_are_a_mistake_or_an_outage() -> None:
    with pytest.raises(ConfigurationError, match="replication 3"):
        make_plan(load_topics_file(None), ["alerts"], ClusterState(2, {}))


def test_settings_that_differ_are_set_and_others_are_not_named() -> None:
    rules = load_topics_file(None).rules("frames.civic")
    state = TopicState(12, 3, rules.settings() | {"retention.ms": "5", "max.message.bytes": "6"})
    changes, warnings = _plan_of(state)
    after = {name: rules.settings()[name] for name in ("max.message.bytes", "retention.ms")}
    before = {"max.message.bytes": "6", "retention.ms": "5"}
    assert changes == (Change("set", "frames.civic", after, before),)
    assert warnings == ()


def test_partitions_are_added_with_a_warning_and_never_taken_away() -> None:
    settings = load_topics_file(None).rules("frames.civic").settings()
    changes, warnings = _plan_of(TopicState(4, 3, settings))
    assert changes == (Change("grow", "frames.civic", {"partitions": "12"}, {"partitions": "4"}),)
    assert "breaks the order of each camera" in warnings[0]
    changes, warnings = _plan_of(TopicState(20, 3, settings))
    assert changes == ()
    assert "left as it is" in warnings[0]


def test_replication_that_differs_is_only_reported() -> None:
    changes, warnings = _plan_of(TopicState(12, 1, load_topics_file(None).rules("frames.civic").settings()))
    assert changes == ()
    assert "replication 1" in warnings[0]


_FILE = """
kinds:
  frames: &rules {partitions: 2, replication: 1, min_insync_replicas: 1, retention_hours: 0.5, max_message_bytes: 2048}
  results: *rules
  artifacts: *rules
  deadletters: *rules
  alerts: *rules
topics:
  frames.civic: {partitions: 48, retention_hours: null}
"""


def test_a_file_of_ones_own_with_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(_FILE)
    file = load_topics_file(path)
    assert file.rules("frames.civic").partitions == 48
    assert file.rules("frames.civic").settings()["retention.ms"] == "-1"
    assert file.rules("frames.other").partitions == 2
    assert file.rules("frames.other").settings()["retention.ms"] == "1800000"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_FILE.replace("frames: &rules", "frame: &rules"), r"topics\.yaml:3: kinds\.frame: unknown key"),
        (_FILE.replace("partitions: 48", "partitions: 0"), r"topics\.yaml:9: topics\.frames\.civic\.partitions"),
    ],
)
def test_a_mistake_has_file_and_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        load_topics_file(path)


def test_a_file_that_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read"):
        load_topics_file(Path("nowhere.yaml"))
