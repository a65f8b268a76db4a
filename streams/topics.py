"""Topics as they should be, as they are, and the way from one to the other.

Nothing is ever deleted or made smaller: partitions that are too many, and replication that differs, are
reported and left alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from pydantic import BaseModel, ConfigDict, Field

from schemas import topics
from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition
from schemas.yamlfile import load_yaml
from sightline.runtime.kafka import map_kafka_error

MIB: Final = 1024 * 1024
TIMESTAMP_TYPE: Final = "LogAppendTime"
_MS_PER_HOUR = 3_600_000
_DEFAULT_FILE = "topics.yaml"
ChangeKind = Literal["create", "set", "grow"]


class TopicRules(BaseModel):
    """What a topic should be like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partitions: int = Field(ge=1, le=10_000)
    replication: int = Field(ge=1, le=100)
    min_insync_replicas: int = Field(ge=1, le=100)
    retention_hours: float | None = Field(gt=0)
    retention_bytes: int | None = Field(None, ge=MIB)
    max_message_bytes: int = Field(ge=1024, le=1024 * MIB)
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"

    def settings(self) -> dict[str, str]:
        """Return the topic's settings under Kafka's own names.

        LogAppendTime is not a choice: by a record's own time Kafka would refuse or expire records at once.
        """
        retention_ms = -1 if self.retention_hours is None else round(self.retention_hours * _MS_PER_HOUR)
        return {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": TIMESTAMP_TYPE,
            "min.insync.replicas": str(self.min_insync_replicas),
            "retention.bytes": str(-1 if self.retention_bytes is None else self.retention_bytes),
            "retention.ms": str(retention_ms),
        }


class TopicOverrides(BaseModel):
    """What one topic has otherwise than its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partitions: int | None = Field(None, ge=1, le=10_000)
    replication: int | None = Field(None, ge=1, le=100)
    min_insync_replicas: int | None = Field(None, ge=1, le=100)
    retention_hours: float | None = Field(None, gt=0)
    retention_bytes: int | None = Field(None, ge=MIB)
    max_message_bytes: int | None = Field(None, ge=1024, le=1024 * MIB)
    cleanup: Literal["delete", "compact", "compact,delete"] | None = None


class TopicKinds(BaseModel):
    """One set of rules for each kind of topic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: TopicRules
    results: TopicRules
    artifacts: TopicRules
    deadletters: TopicRules
    emr: TopicRules | None = None  # null, as in files of the time before there were such topics: the built-in ones
    models: TopicRules | None = None
    replay: TopicRules | None = None
    replays: TopicRules | None = None
    commands: TopicRules | None = None
    alerts: TopicRules


class TopicsFile(BaseModel):
    """A topics file: rules by kind, and what single topics have otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: TopicKinds
    topics: dict[str, TopicOverrides] = Field(default_factory=dict)

    def rules(self, topic: str) -> TopicRules:
        """Return the rules of one topic of ours."""
        name = _kind(topic)
        kind: TopicRules = getattr(self.kinds, name) or getattr(load_topics_file(None).kinds, name)
        override = self.topics.get(topic)
        return kind if override is None else kind.model_copy(update=override.model_dump(exclude_unset=True))


def _kind(topic: str) -> str:
    if topic in {topics.REPLAY_COMMANDS, topics.REPLAY_ANSWERS}:
        return "commands"
    return "replay" if topic.endswith(topics.REPLAY_SUFFIX) else topic.partition(".")[0]


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is."""

    partitions: int
    replication: int
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What of the cluster matters to a plan. `topics` lacks those that don't exist; `away` counts dead brokers."""

    brokers: int
    topics: dict[str, TopicState]
    away: int = 0

    def places(self) -> list[TopicPartition]:
        """Return every partition of its topics."""
        return [
            TopicPartition(name, number) for name, topic in self.topics.items() for number in range(topic.partitions)
        ]


@dataclass(frozen=True, slots=True)
class Change:
    """One step. `before` and `after` are settings by name; of a new topic there is no `before`."""

    kind: ChangeKind
    topic: str
    after: dict[str, str]
    before: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would do, and what a person should know first."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]


def load_topics_file(path: Path | None) -> TopicsFile:
    """Read a topics file, or the one that comes with sightline.

    Raises ConfigurationError with file and line.
    """
    if path is None:
        return load_yaml(TopicsFile, (resources.files("streams") / _DEFAULT_FILE).read_text("utf-8"), _DEFAULT_FILE)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), f"cannot be read: {type(error).__name__}") from None
    return load_yaml(TopicsFile, text, str(path))


def topics_of(pipelines: Iterable[PipelineDefinition | str]) -> list[str]:
    """List the topics of some pipelines, and those that all share.

    Of a pipeline that is given by name alone, only those that every pipeline has.
    """
    return [topic for pipeline in pipelines for topic in _topics_of(pipeline)] + list(topics.SHARED)


_OF_EVERY_PIPELINE: Final = (
    topics.frames,
    topics.results,
    topics.artifacts,
    topics.dead_letters,
    topics.parked,
    topics.frames_replay,
    topics.results_replay,
    topics.replays,
)


def _topics_of(pipeline: PipelineDefinition | str) -> list[str]:
    name = pipeline if isinstance(pipeline, str) else pipeline.name
    found = [kind(name) for kind in _OF_EVERY_PIPELINE]
    if isinstance(pipeline, str):
        return found
    if pipeline.emr:
        found.append(topics.emr(name))
    return found + [topics.activations(name, role) for role in pipeline.models]


def read_cluster(admin: AdminClient, wanted: Sequence[str], timeout_s: float) -> ClusterState:
    """Look at the cluster; blocks for at most `timeout_s` a request. Raises OutageError."""
    try:
        listed = admin.list_topics(timeout=timeout_s)
        found = {name: listed.topics[name].partitions for name in wanted if name in listed.topics}
        resources_ = [ConfigResource(ResourceType.TOPIC, name) for name in found]
        answers = admin.describe_configs(resources_, request_timeout=timeout_s) if resources_ else {}
        settings = {resource.name: answer.result(timeout_s) for resource, answer in answers.items()}
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
    states = {
        name: TopicState(
            partitions=len(partitions),
            replication=min((len(partition.replicas) for partition in partitions.values()), default=0),
            settings={entry.name: str(entry.value) for entry in settings[name].values()},
        )
        for name, partitions in found.items()
    }
    # A broker that is down is no longer listed, but its copies are: three brokers must not pass for one.
    known = set(listed.brokers) | _holders(listed)
    return ClusterState(len(known), states, away=len(known) - len(listed.brokers))


def _holders(listed: ClusterMetadata) -> set[int]:
    partitions = [partition for topic in listed.topics.values() for partition in topic.partitions.values()]
    return {broker for partition in partitions for broker in partition.replicas}


def make_plan(file: TopicsFile, wanted: Sequence[str], cluster: ClusterState) -> Plan:
    """Compare. Raises ConfigurationError when the cluster cannot hold as many copies as are wanted."""
    changes: list[Change] = []
    warnings: list[str] = []
    if cluster.brokers == 1 and any(file.rules(topic).replication > 1 for topic in wanted):
        warnings.append("this cluster has one broker: each record exists once, and is gone when its disk is")
    for topic in wanted:
        rules = _fitted(topic, file.rules(topic), cluster.brokers)
        state = cluster.topics.get(topic)
        if state is None:
            changes.append(Change("create", topic, _shape(rules) | rules.settings()))
        else:
            changes += _changes(topic, rules, state)
            warnings += _warnings(topic, rules, state)
    return Plan(tuple(changes), tuple(warnings))


def apply_change(admin: AdminClient, change: Change, timeout_s: float) -> None:
    """Carry out one step and wait for it. Raises OutageError or SetupError."""
    answers: dict[Any, Any]
    try:
        if change.kind == "create":
            answers = admin.create_topics([_new_topic(change)], operation_timeout=timeout_s)
        elif change.kind == "grow":
            new_partitions = NewPartitions(change.topic, int(change.after["partitions"]))
            answers = admin.create_partitions([new_partitions], operation_timeout=timeout_s)
        else:
            answers = admin.incremental_alter_configs([_alteration(change)])
        for answer in answers.values():
            answer.result(timeout_s)
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error


def _fitted(topic: str, rules: TopicRules, brokers: int) -> TopicRules:
    """One broker is a development machine. Fewer than wanted on a larger cluster is a mistake, or an outage."""
    if rules.replication <= brokers:
        return rules
    if brokers == 1:
        return rules.model_copy(update={"replication": 1, "min_insync_replicas": 1})
    raise ConfigurationError(topic, f"replication {rules.replication} is wanted, and {brokers} brokers are there")


def _shape(rules: TopicRules) -> dict[str, str]:
    return {"partitions": str(rules.partitions), "replication": str(rules.replication)}


def _changes(topic: str, rules: TopicRules, state: TopicState) -> list[Change]:
    changes: list[Change] = []
    if state.partitions < rules.partitions:
        before, after = {"partitions": str(state.partitions)}, {"partitions": str(rules.partitions)}
        changes.append(Change("grow", topic, after, before))
    after = {name: value for name, value in rules.settings().items() if state.settings.get(name) != value}
    if after:
        before = {name: state.settings.get(name, "") for name in after}
        changes.append(Change("set", topic, after, before))
    return changes


def _warnings(topic: str, rules: TopicRules, state: TopicState) -> list[str]:
    warnings = []
    if state.partitions < rules.partitions:
        warnings.append(f"{topic}: adding partitions breaks the order of each camera once: its key moves elsewhere")
    if state.partitions > rules.partitions:
        warnings.append(f"{topic}: has {state.partitions} partitions, {rules.partitions} are wanted; left as it is")
    if state.replication != rules.replication:
        warnings.append(f"{topic}: has replication {state.replication}, {rules.replication} is wanted; left as it is")
    return warnings


def _new_topic(change: Change) -> NewTopic:
    settings = dict(change.after)
    partitions, replication = int(settings.pop("partitions")), int(settings.pop("replication"))
    return NewTopic(change.topic, partitions, replication, config=settings)


def _alteration(change: Change) -> ConfigResource:
    entries: list[Any] = [
        ConfigEntry(name, value, source=ConfigSource.DYNAMIC_TOPIC_CONFIG, incremental_operation=AlterConfigOpType.SET)
        for name, value in change.after.items()
    ]
    return ConfigResource(ResourceType.TOPIC, change.topic, incremental_configs=entries)
